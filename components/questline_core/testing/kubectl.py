"""kubectl, for tests on a real cluster."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager


def kubectl(
    namespace: str, *arguments: str, given: str | None = None, timeout_s: float = 120, check: bool = True
) -> str:
    """Run a command and give what it prints; without `check`, also one that fails, and its errors."""
    command = ["kubectl", "-n", namespace, *arguments]
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False, timeout=timeout_s)
    if check and done.returncode:
        raise AssertionError(f"{command}: {done.stderr}{done.stdout}")
    return done.stdout + ("" if check else done.stderr)


@contextmanager
def forwarded(namespace: str, target: str, port: int) -> Iterator[str]:
    """Reach a port of a Service or a Deployment from here; gives host:port."""
    command = ["kubectl", "-n", namespace, "port-forward", target, f":{port}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            told = process.stdout.readline() if process.stdout else ""
            found = re.search(r"127\.0\.0\.1:\d+", told)
            if not found:
                raise AssertionError(f"{command} does not forward: {told}")
            yield found[0]
        finally:
            process.terminate()
