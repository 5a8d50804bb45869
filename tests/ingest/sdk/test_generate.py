"""Stubs of game clients are made from the protos, and compiled where the toolchain is at hand (`make sdk` does all)."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[3] / "ingest" / "sdk" / "generate.sh"


def generate(folder: Path, path: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": path, "PYTHON": sys.executable, "HOME": str(folder)}
    return subprocess.run([SCRIPT, folder], env=environment, capture_output=True, text=True, check=False, timeout=110)


def test_a_toolchain_that_is_not_there_is_skipped_with_its_reason(tmp_path: Path) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("sh", "dirname", "mkdir"):
        (tools / name).symlink_to(shutil.which(name) or name)

    made = generate(tmp_path / "out", str(tools))

    assert made.returncode == 0, made.stderr
    assert made.stdout.splitlines() == [
        "typescript: skipped, npm is not here",
        "cpp: skipped, protoc or grpc_cpp_plugin is not here",
        "csharp: skipped, dotnet is not here",
    ]
