"""Scores as files: what is written is read again, and what is not whole is refused."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from questline_core.errors import BadInput
from questline_core.lookup.exported import TERMS, read_export, write_export
from questline_core.lookup.publish import SCHEMA, Terms

ROWS = pa.Table.from_pylist(
    [
        {"user_pseudo_id": "ann", "probability": 0.25, "source": "trees", "churned": 0, "reasons": ["country"]},
        {"user_pseudo_id": "bo", "probability": 0.75, "source": "bounced", "churned": None, "reasons": None},
    ],
    schema=SCHEMA,
)
ALL = Terms(prior=0.5, threshold=0.4, lineage={"model": "trees"})


def test_an_export_of_several_files_is_read_as_one(tmp_path: Path) -> None:
    write_export(str(tmp_path), ROWS, ALL)
    pq.write_table(ROWS.append_column("more", pa.array([1, 2])), tmp_path / "second.parquet")

    batches, terms = read_export(str(tmp_path))

    assert pa.Table.from_batches(batches).to_pylist() == ROWS.to_pylist() * 2
    assert terms == ALL


def test_an_export_without_its_terms_or_without_a_column_is_refused(tmp_path: Path) -> None:
    write_export(str(tmp_path), ROWS, ALL)
    pq.write_table(ROWS.drop_columns(["source"]), tmp_path / "scores.parquet")
    with pytest.raises(BadInput, match="no whole export"):
        read_export(str(tmp_path))

    (tmp_path / TERMS).unlink()
    with pytest.raises(BadInput, match="no whole export"):
        read_export(str(tmp_path))
