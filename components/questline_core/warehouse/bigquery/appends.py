"""Append rows to a BigQuery table once each, by their key: written aside first, then merged in one transaction.

The rows go to a staging table of the target by the Storage Write API's default stream, marked with the id of this
append. A transaction then inserts those whose key is not in the target, and deletes them from the staging table. The
deletion is what keeps two appends apart: transactions that change rows of one table cannot both commit, so no two of
them can insert the same key. A crash in between leaves rows aside that nobody reads; they vanish with their partition.

The key is looked up only in the partitions that the rows themselves belong to: equal keys have equal days, because a
resent event is the same event.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from typing import Any

import pyarrow as pa
from google.cloud import bigquery
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_random_exponential

from questline_core.warehouse.bigquery.failures import is_conflict
from questline_core.warehouse.bigquery.jobs import Jobs
from questline_core.warehouse.bigquery.shapes import path, quoted
from questline_core.warehouse.bigquery.writes import StreamWriter
from questline_core.warehouse.columns import check_key

STAGING = "_questline_"
"""Tables whose name begins so hold rows on their way; they belong to the table that the name goes on with."""
_BATCH = "_batch"
_STAGING_LIFE_MS = 24 * 3600 * 1000

_MERGE = """
DECLARE inserted INT64 DEFAULT 0;
BEGIN TRANSACTION;
INSERT INTO {target} ({columns})
SELECT {columns}
FROM {staging} AS fresh
WHERE fresh.{batch} = @batch AND NOT EXISTS (
  SELECT 1 FROM {target} AS known WHERE known.{key} = fresh.{key}{window}
)
QUALIFY ROW_NUMBER() OVER (PARTITION BY fresh.{key} ORDER BY fresh.{batch}) = 1;
SET inserted = @@row_count;
DELETE FROM {staging} WHERE {batch} = @batch;
COMMIT TRANSACTION;
SELECT inserted;
"""


class KeyedAppends:
    """Appends whose rows carry a key."""

    def __init__(self, jobs: Jobs, writer: StreamWriter, timeout_s: float) -> None:
        self._jobs, self._writer, self._timeout_s = jobs, writer, timeout_s
        self._made = set[str]()

    def append(self, name: str, table: bigquery.Table, rows: pa.Table, key: str) -> int:
        """Add the rows whose key is new, and give their number; `rows` fit the table.

        Raises:
            BadInput: a row has no key.
        """
        fresh = first_of_each(rows, key)
        staging = staging_name(name, table)
        self._make(staging, table)
        batch = secrets.token_hex(8)
        marked = fresh.append_column(_BATCH, pa.array([batch] * fresh.num_rows, pa.string()))
        self._writer.at_least_once(staging, marked)
        text = merge_text(name, staging, table, fresh, key)
        again = Retrying(
            retry=retry_if_exception(is_conflict),
            wait=wait_random_exponential(multiplier=0.2, max=10),
            stop=stop_after_delay(self._timeout_s),
            reraise=True,
        )
        found = again(lambda: self._jobs.rows(text, {"batch": batch}, kind="append"))
        return int(found.column(0)[0].as_py())

    def _make(self, staging: str, target: bigquery.Table) -> None:
        if staging in self._made:
            return
        fields = [_optional(field) for field in target.schema]
        table = bigquery.Table(
            f"{target.project}.{staging}", schema=[*fields, bigquery.SchemaField(_BATCH, "STRING", "REQUIRED")]
        )
        table.time_partitioning = bigquery.TimePartitioning(type_="DAY", expiration_ms=_STAGING_LIFE_MS)
        table.clustering_fields = [_BATCH]
        table.description = f"Rows on their way to {target.table_id}; Questline empties it"
        self._jobs.client.create_table(table, exists_ok=True, **self._jobs.call)
        self._made.add(staging)


def first_of_each(rows: pa.Table, key: str) -> pa.Table:
    """Take the first row of each key, in the order given.

    Raises:
        BadInput: a row has no key.
    """
    check_key(rows, key)
    numbered = pa.table({"key": rows.column(key), "row": pa.array(range(rows.num_rows), pa.int64())})
    first = numbered.group_by("key").aggregate([("row", "min")]).column("row_min").sort()
    return rows if len(first) == rows.num_rows else rows.take(first)


def staging_name(name: str, table: bigquery.Table) -> str:
    """Name the staging table of a table: another one for other columns, for the write API learns of changes late."""
    dataset, _, own = name.partition(".")
    columns = json.dumps([field.to_api_repr() for field in table.schema], sort_keys=True)
    return f"{dataset}.{STAGING}{own}_{hashlib.sha256(columns.encode()).hexdigest()[:8]}"


def merge_text(name: str, staging: str, table: bigquery.Table, rows: pa.Table, key: str) -> str:
    """Write the script that brings staged rows into the table."""
    return _MERGE.format(
        target=path(name),
        staging=path(staging),
        columns=quoted(*rows.column_names),
        key=quoted(key),
        batch=_BATCH,
        window=_window(table, rows),
    )


def _window(table: bigquery.Table, rows: pa.Table) -> str:
    """Bound the search for known keys to the partitions of the rows; written out, because only literals prune."""
    day = table.time_partitioning.field if table.time_partitioning else None
    if day is None or day not in rows.column_names or not pa.types.is_date(rows.schema.field(day).type):
        return ""
    days: list[Any] = rows.column(day).unique().to_pylist()
    known = ", ".join(f"DATE '{value}'" for value in sorted(value for value in days if value is not None))
    tests = [f"known.`{day}` IN ({known})"] if known else []
    tests += [f"known.`{day}` IS NULL"] if None in days else []
    return f" AND ({' OR '.join(tests)})" if tests else ""


def _optional(field: bigquery.SchemaField) -> bigquery.SchemaField:
    facts = field.to_api_repr()
    if facts.get("mode") == "REQUIRED":
        facts["mode"] = "NULLABLE"
    return bigquery.SchemaField.from_api_repr(facts)


def staging_of(name: str, tables: list[str]) -> list[str]:
    """Find the staging tables of a table among the ids of its dataset's tables."""
    dataset, _, own = name.partition(".")
    return [f"{dataset}.{table}" for table in tables if table[:-9] == f"{STAGING}{own}"]
