"""The archive in the cloud is read, or said to be damaged."""

from __future__ import annotations

import io
from datetime import date
from pathlib import Path

import fastavro
import pytest

from questline_core.errors import BadInput
from questline_core.events.archive import gather
from questline_core.events.remake import Gathered

RECORD = fastavro.parse_schema({"type": "record", "name": "m", "fields": [{"name": "data", "type": "bytes"}]})


def test_a_file_that_is_cut_off_is_named(tmp_path: Path) -> None:
    whole = io.BytesIO()
    fastavro.writer(whole, RECORD, [{"data": bytes(1_000)}])
    (tmp_path / "cut.avro").write_bytes(whole.getvalue()[:-500])

    with pytest.raises(BadInput, match=r"cannot read .*cut\.avro"):
        gather([str(tmp_path / "*.avro")], Gathered.of([date(2027, 1, 15)]), title="game")
