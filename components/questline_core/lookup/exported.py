"""Scores as files: a folder of Parquet parts, and the terms of the generation, which are written last."""

from __future__ import annotations

import json
from dataclasses import asdict

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from questline_core.errors import BadInput
from questline_core.lookup.publish import SCHEMA, Terms

TERMS = "lookup-terms.json"
"""Whoever sees this file sees a whole export: the parts are written before."""


def write_export(folder: str, rows: pa.Table, terms: Terms) -> None:
    """Write an export to a folder or gs://BUCKET/FOLDER.

    Args:
        folder: it must hold no other export.
        rows: with the columns of `questline_core.lookup.publish.SCHEMA`.
        terms: what holds for all of them.
    """
    files, path = _open(folder)
    files.create_dir(path)
    pq.write_table(rows, f"{path}/scores.parquet", filesystem=files)
    with files.open_output_stream(f"{path}/{TERMS}") as out:
        out.write(json.dumps(asdict(terms)).encode())


def read_export(folder: str) -> tuple[list[pa.RecordBatch], Terms]:
    """Read an export from a folder or gs://BUCKET/FOLDER; all its Parquet files belong to it.

    Raises:
        BadInput: there is no whole export, or its columns are others.
    """
    try:
        files, path = _open(folder)
        with files.open_input_file(f"{path}/{TERMS}") as file:
            terms = Terms(**json.loads(file.read()))
        found = files.get_file_info(fs.FileSelector(path, recursive=True))
        parts = sorted(one.path for one in found if one.path.endswith(".parquet"))
        # One file after the other: pyarrow.dataset loads pandas, which takes longer than to read them.
        read = [pq.ParquetFile(files.open_input_file(part)).read(columns=SCHEMA.names).cast(SCHEMA) for part in parts]
        rows = pa.concat_tables(read)
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
        raise BadInput(f"{folder} holds no whole export of scores ({type(error).__name__}: {error})") from None
    return rows.to_batches(), terms


def _open(folder: str) -> tuple[fs.FileSystem, str]:
    files, path = fs.FileSystem.from_uri(folder)
    return files, path.rstrip("/")
