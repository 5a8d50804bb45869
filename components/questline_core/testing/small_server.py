"""For tests of several processes: a server that answers `ok`, and counts what it was asked."""

from __future__ import annotations

import os
import signal
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from questline_core.crew import number_of
from questline_core.processes import announced

PROCESS = "small"
ENDS = 2
"""The process with this number ends at its start."""


class _Ok(BaseHTTPRequestHandler):
    asked = 0

    def do_GET(self) -> None:
        """Answer."""
        type(self).asked += 1
        text = f"# TYPE asked counter\nasked_total {self.asked}\n" if self.path == "/metrics" else "ok"
        self.send_response(500 if self.path == "/broken" else 200)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        """Log nothing."""


def serve(run: Path, number: int) -> None:
    """Be one of several such servers until it is ended; one of them ends at once."""
    if number == ENDS:
        os._exit(3)
    server = HTTPServer(("127.0.0.1", 0), _Ok)
    with announced(run, number_of(PROCESS, number), admin=f"127.0.0.1:{server.server_port}"):
        server.serve_forever()


DRAINING, GO_ON, DONE = "draining", "go-on", "done"
"""Files by which a process that drains and a test tell each other how far they are."""


def drain(run: Path, number: int) -> None:
    """Be told to end, say so, and do not end before `GO_ON` is there."""

    def told(*_: object) -> None:
        (run / DRAINING).touch()
        while not (run / GO_ON).exists():
            time.sleep(0.02)
        (run / DONE).touch()
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, told)
    with announced(run, number_of(PROCESS, number), admin=""):
        while True:
            signal.pause()
