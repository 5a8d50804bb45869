"""Start the stand-in: both of its APIs over one project."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from questline_core.testing.bigquery.project import PROJECT, Project
from questline_core.testing.bigquery.rest import RestServer
from questline_core.testing.bigquery.write import serve_writes


@dataclass(frozen=True, slots=True, kw_only=True)
class StandIn:
    """Where the stand-in listens, and what it knows."""

    project: Project
    endpoint: str
    write_endpoint: str
    address: str = f"bigquery:{PROJECT}/US"


@contextmanager
def stand_in(folder: Path) -> Iterator[StandIn]:
    """Run a stand-in whose rows lie in a folder."""
    project = Project(folder)
    rest = RestServer(project)
    thread = threading.Thread(target=rest.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    writes, port = serve_writes(project)
    try:
        yield StandIn(
            project=project, endpoint=f"http://127.0.0.1:{rest.server_port}", write_endpoint=f"127.0.0.1:{port}"
        )
    finally:
        writes.stop(None).wait()
        rest.shutdown()
        rest.server_close()
        thread.join()
        project.warehouse.close()
