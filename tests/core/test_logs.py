"""What a process says: one JSON object a line, with the process's name, from every thread."""

from __future__ import annotations

import json
import subprocess
import sys

CODE = """
import threading, structlog
from questline_core.logs import configure_logs
configure_logs("stream")
log = structlog.get_logger()
def work():
    try:
        raise ValueError("two\\nlines")
    except ValueError:
        log.exception("it broke", at=1)
log.info("ready")
thread = threading.Thread(target=work)
thread.start()
thread.join()
"""


def test_every_thread_names_the_process_and_an_error_is_one_line() -> None:
    ran = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)

    ready, broke = map(json.loads, ran.stderr.splitlines())
    assert (ready["event"], ready["process"]) == ("ready", "stream")
    assert (broke["event"], broke["process"], broke["level"]) == ("it broke", "stream", "error")
    assert "two\nlines" in broke["exception"]
