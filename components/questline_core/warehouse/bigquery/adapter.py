"""The warehouse on BigQuery."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from datetime import date
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from google.api_core import exceptions
from google.cloud import bigquery

from questline_core.errors import BadInput
from questline_core.warehouse.bigquery.appends import STAGING, KeyedAppends, staging_of
from questline_core.warehouse.bigquery.failures import explained
from questline_core.warehouse.bigquery.jobs import Jobs, again_if_missing
from questline_core.warehouse.bigquery.settings import BigQuerySettings
from questline_core.warehouse.bigquery.shapes import fields_of, path, schema_of, shaped
from questline_core.warehouse.bigquery.writes import StreamWriter
from questline_core.warehouse.columns import fit, only_adds, same_columns
from questline_core.warehouse.port import Appended, Description, Estimate, parts_of

_COLUMN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")
_PROJECT = re.compile(r"(?P<project>[a-z][a-z0-9.:-]{4,60}[a-z0-9])(?:/(?P<location>[A-Za-z0-9-]+))?")
_FORMATS = {".parquet": "PARQUET", ".ndjson": "NEWLINE_DELIMITED_JSON", ".jsonl": "NEWLINE_DELIMITED_JSON",
            ".json": "NEWLINE_DELIMITED_JSON", ".csv": "CSV", ".avro": "AVRO"}  # fmt: skip
_TIB = 2**40
_VIEWS = frozenset({"VIEW", "MATERIALIZED_VIEW"})


class BigQueryWarehouse:
    """The tables of one project, in one location."""

    def __init__(self, project: str, location: str | None, settings: BigQuerySettings) -> None:
        self._project, self._location, self._settings = project, location, settings
        with explained("the connection"):
            self._jobs = Jobs(project, location, settings)
            self._writer = StreamWriter(project, settings)
        self._keyed = KeyedAppends(self._jobs, self._writer, settings.bigquery_timeout_s)

    def query(self, sql: str, **parameters: Any) -> pa.Table:
        """Run one GoogleSQL statement or script and return the rows of its last SELECT."""
        if not sql.strip():
            raise BadInput("the query is empty")
        with explained("the query", self.tables):
            return self._jobs.rows(sql, parameters)

    def estimate(self, sql: str, **parameters: Any) -> Estimate:
        """Tell what a statement would read and cost, without running it."""
        with explained("the query", self.tables):
            size = self._jobs.bytes_read(sql, parameters)
        usd = size / _TIB * self._settings.bigquery_usd_per_tib
        return Estimate(bytes_read=size, usd=usd, basis=f"on demand, at ${self._settings.bigquery_usd_per_tib:g} a TiB")

    def create(self, table: str, schema: pa.Schema) -> None:
        """Make an empty table, laid out by the event contract if it is one of its tables; and its dataset."""
        reference = self._reference(table)
        with explained(f"making {table}"):
            again_if_missing(
                lambda: self._make_dataset(reference),
                lambda: self._jobs.client.create_table(
                    shaped(reference, table, schema), exists_ok=True, **self._jobs.call
                ),
            )
        found = self._table(table)
        held = schema_of(found.schema)
        if only_adds(schema, held):
            found.schema = [*found.schema, *fields_of(table, schema)[len(held) :]]
            with explained(f"adding columns to {table}"):
                self._jobs.client.update_table(found, ["schema"], **self._jobs.call)
        elif not same_columns(held, schema):
            raise BadInput(f"{table} exists with other columns; replace its content, or use another name")

    def append(self, table: str, rows: pa.Table, *, key: str | None = None) -> Appended:
        """Add rows in one durable step, those left out whose key is there already."""
        found = self._table(table, "; create it first")
        # A column that is not brought is left out and not sent as NULL: an array cannot be NULL here.
        fitted = fit(rows, schema_of(found.schema), table).select(rows.column_names)
        if rows.num_rows == 0:
            return Appended(rows=0, skipped=0)
        with explained(f"the append to {table}"):
            if key is None:
                self._writer.in_one_step(table, fitted)
                return Appended(rows=rows.num_rows, skipped=0)
            added = self._keyed.append(table, found, fitted, key)
        return Appended(rows=added, skipped=rows.num_rows - added)

    def replace(self, table: str, rows: pa.Table, *, partition: date | None = None) -> None:
        """Put rows in place of the table's content, or of one day of it, in one step: a load job that truncates."""
        if partition is None:
            self._truncating_load(table, self._reference(table), rows, self._find(table))
        else:
            self._replace_day(table, partition, rows)

    def load_files(
        self, table: str, uris: Sequence[str], *, schema: pa.Schema | None = None, replace: bool = False
    ) -> int:
        """Load files of Cloud Storage (`gs://…`, with `*`) by a job that reads them where they are."""
        found, reference = self._find(table), self._reference(table)
        config = bigquery.LoadJobConfig(
            source_format=_format(uris), write_disposition="WRITE_TRUNCATE" if replace else "WRITE_APPEND"
        )
        if schema is not None:
            config.schema = fields_of(table, schema)
        else:
            config.autodetect = found is None or replace
        if config.source_format == "PARQUET":
            config.parquet_options = _parquet_lists()
        if config.source_format == "CSV":
            config.skip_leading_rows = 1
        with explained(f"the load into {table}"):
            return again_if_missing(
                lambda: self._make_dataset(reference), lambda: self._jobs.load_uris(uris, reference, config)
            )

    def erase(self, table: str, *, column: str, values: Sequence[Any]) -> int:
        """Delete the rows that hold one of these values, also those on their way; gives the number of rows."""
        if not _COLUMN.fullmatch(column):
            raise BadInput(f"{column!r} is no name of a column")
        self._table(table)
        with explained(f"the erasure from {table}"):
            return sum(self._delete(name, path(column), values) for name in (table, *self._staging_of(table)))

    def version(self, table: str) -> str:
        """Name the version of the table's content: made when, changed when, and its rows, also those just streamed."""
        found = self._table(table)
        return f"{_millis(found.created)}.{_millis(found.modified)}.{self._rows(table, found)}"

    def tables(self) -> Sequence[str]:
        """Name all tables of the project, sorted; views are none."""
        client, call = self._jobs.client, self._jobs.call
        with explained("listing the tables"):
            return sorted(
                f"{dataset.dataset_id}.{item.table_id}"
                for dataset in client.list_datasets(**call)
                for item in client.list_tables(dataset.reference, **call)
                if item.table_type not in _VIEWS and not item.table_id.startswith(STAGING)
            )

    def describe(self, table: str) -> Description:
        """Tell a table's columns and how many rows it has."""
        found = self._table(table)
        return Description(rows=self._rows(table, found), schema=schema_of(found.schema))

    def close(self) -> None:
        """Close the connections."""
        self._writer.close()
        self._jobs.close()

    def _delete(self, table: str, column: str, values: Sequence[Any]) -> int:
        text = f"DELETE FROM {path(table)} WHERE {column} IN UNNEST(@values)"  # noqa: S608 - the names are checked
        return int(self._jobs.query(text, {"values": list(values)}, kind="erase").num_dml_affected_rows or 0)

    def _rows(self, table: str, found: bigquery.Table) -> int:
        if found.table_type == "TABLE" and found.streaming_buffer is None:
            return int(found.num_rows)
        # Rows in the streaming buffer are not in the table's own number, and a view has none; this reads no column.
        with explained(f"counting {table}"):
            return int(self._jobs.rows(f"SELECT COUNT(*) FROM {path(table)}", {}, kind="count").column(0)[0].as_py())  # noqa: S608 - a checked name

    def _truncating_load(self, table: str, destination: Any, rows: pa.Table, found: bigquery.Table | None) -> None:
        config = bigquery.LoadJobConfig(
            source_format="PARQUET", write_disposition="WRITE_TRUNCATE", schema=fields_of(table, rows.schema)
        )
        config.parquet_options = _parquet_lists()
        layout = shaped(destination, table, rows.schema) if found is None else found
        if layout.time_partitioning and layout.time_partitioning.field in rows.column_names:
            config.time_partitioning = layout.time_partitioning
        if layout.clustering_fields and set(layout.clustering_fields) <= set(rows.column_names):
            config.clustering_fields = layout.clustering_fields
        with tempfile.TemporaryFile() as file, explained(f"the load into {table}"):
            pq.write_table(rows, file, compression="zstd")
            size = file.tell()
            again_if_missing(
                lambda: self._make_dataset(destination), lambda: self._jobs.load_file(file, size, destination, config)
            )

    def _replace_day(self, table: str, day: date, rows: pa.Table) -> None:
        found = self._table(table)
        schema = schema_of(found.schema)
        column = found.time_partitioning.field if found.time_partitioning else None
        if column is None or schema.field(column).type != pa.date32():
            raise BadInput(f"{table} is not divided into days; make it with PARTITION BY a DATE column")
        fitted = fit(rows, schema, table)
        others = [value for value in fitted.column(column).unique().to_pylist() if value != day]
        if others:
            raise BadInput(f"rows for {day} of {table} have {others[0]} in {column}; nothing was replaced")
        self._truncating_load(table, self._reference(table, f"${day:%Y%m%d}"), fitted, found)

    def _make_dataset(self, reference: bigquery.TableReference) -> None:
        dataset = bigquery.Dataset(f"{self._project}.{reference.dataset_id}")
        dataset.location = self._location
        dataset.labels = {"questline": "dataset"}
        self._jobs.client.create_dataset(dataset, exists_ok=True, **self._jobs.call)

    def _staging_of(self, table: str) -> list[str]:
        reference = self._reference(table)
        found = self._jobs.client.list_tables(f"{self._project}.{reference.dataset_id}", **self._jobs.call)
        return staging_of(table, [item.table_id for item in found])

    def _table(self, table: str, advice: str = "") -> bigquery.Table:
        found = self._find(table)
        if found is None:
            raise BadInput(f"there is no table {table}{advice}")
        return found

    def _find(self, table: str) -> bigquery.Table | None:
        with explained(f"looking at {table}"):
            try:
                return self._jobs.client.get_table(self._reference(table), **self._jobs.call)
            except exceptions.NotFound:
                return None

    def _reference(self, table: str, partition: str = "") -> bigquery.TableReference:
        dataset, name = parts_of(table)
        return bigquery.TableReference(bigquery.DatasetReference(self._project, dataset), name + partition)


def open_bigquery(  # noqa: PLR0913 - each may be given instead of its setting
    rest: str,
    *,
    labels: dict[str, str] | None = None,
    maximum_bytes_billed: int | None = None,
    timeout_s: float | None = None,
    endpoint: str | None = None,
    write_endpoint: str | None = None,
) -> BigQueryWarehouse:
    """Open the warehouse of `PROJECT[/LOCATION]`; what is not given is read from the environment.

    Raises:
        BadInput: this is no project, or a setting cannot be used.
        NotReady: there are no Google credentials.
    """
    named = _PROJECT.fullmatch(rest)
    if named is None:
        raise BadInput(f"bigquery:{rest} names no project; write bigquery:PROJECT or bigquery:PROJECT/LOCATION")
    settings = BigQuerySettings.read(
        bigquery_labels=labels,
        bigquery_maximum_bytes_billed=maximum_bytes_billed,
        bigquery_timeout_s=timeout_s,
        bigquery_endpoint=endpoint,
        bigquery_write_endpoint=write_endpoint,
    )
    return BigQueryWarehouse(named["project"], named["location"], settings)


def _format(uris: Sequence[str]) -> str:
    suffixes = {PurePosixPath(uri.removesuffix(".gz")).suffix for uri in uris}
    if len(suffixes) != 1 or not suffixes <= _FORMATS.keys():
        raise BadInput(f"the files must all end in one of {', '.join(_FORMATS)}, to tell what is in them")
    return _FORMATS[suffixes.pop()]


def _parquet_lists() -> Any:
    options = bigquery.ParquetOptions()  # type: ignore[no-untyped-call]
    options.enable_list_inference = True
    return options


def _millis(moment: Any) -> int:
    return int(moment.timestamp() * 1000)
