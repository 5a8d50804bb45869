"""A place over a network that does not answer is one sentence, soon."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pytest

from questline_core import places
from questline_core.errors import NotReady
from questline_core.events.archive import gather
from questline_core.events.remake import Gathered
from questline_core.privacy.files import FilesHolder
from questline_core.stack.children import free_ports
from questline_core.testing.cloud_storage import asked_by_gcsfs
from questline_core.warehouse.load import load_source
from questline_core.warehouse.port import open_warehouse

BUCKET = "gs://nobody/spend/*"
OPENINGS: dict[str, Callable[[Path], object]] = {
    "a model": lambda _: places.present(BUCKET),
    "an archive": lambda _: gather([BUCKET], Gathered.of([date(2027, 1, 15)]), title="game"),
    "files of players": lambda _: FilesHolder(BUCKET).find("p1"),
    "a table": lambda home: load_source(
        open_warehouse(f"duckdb:{home}"), "t.rows", f"{BUCKET}.csv", schema=None, replace=False, tell=lambda _: None
    ),
}


@pytest.fixture
def silent() -> Iterator[str]:
    """Give the URL of a server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize("what", OPENINGS)
def test_whoever_opens_a_bucket_that_is_silent_says_so(
    what: str, silent: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "ANSWER_S", 0.2)

    with asked_by_gcsfs(silent), pytest.raises(NotReady, match=r"gs://nobody\S+ did not answer within 0\.2 s"):
        OPENINGS[what](tmp_path)


def test_a_bucket_that_nobody_serves_prints_no_stack_trace(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(places, "ANSWER_S", 0.2)
    (port,) = free_ports(1)

    with (
        caplog.at_level(logging.DEBUG),
        asked_by_gcsfs(f"http://127.0.0.1:{port}"),
        pytest.raises(NotReady, match="check the network"),
    ):
        places.read("gs://nobody/spend/model.json")

    assert [record for record in caplog.records if record.name.startswith("gcsfs")] == []
