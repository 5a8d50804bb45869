from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HOSTILE = Path(__file__).parents[2] / "faults" / "hostile.py"


def test_no_mutated_message_is_an_error_of_the_server() -> None:
    done = subprocess.run(
        [sys.executable, HOSTILE, "--count", "1000", "--seed", "7"], capture_output=True, text=True, check=False
    )

    assert "finds 0," in done.stdout, done.stdout + done.stderr
    assert "grpc INVALID_ARGUMENT" in done.stdout
    assert "http 400" in done.stdout
