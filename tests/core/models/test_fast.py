"""The fast form's runtime keeps to itself; what it answers is in tests/kserve/test_fast.py."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_the_runtime_reports_nothing_and_numbers_no_machine(tmp_path: Path) -> None:
    """It would write a number for this machine, and send it with what it does, at the import or the first session."""
    script = "from questline_core.models.fast import onnxruntime as used; used.SessionOptions()"

    subprocess.run([sys.executable, "-c", script], env={"HOME": str(tmp_path)}, check=True, timeout=120)

    assert list(tmp_path.rglob("*")) == []
