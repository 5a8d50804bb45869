"""Run jobs as BigQuery's jobs.insert does: queries, scripts with a transaction, dry runs and loads."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from datetime import date
from fnmatch import fnmatchcase
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq

from questline_core.errors import BadInput
from questline_core.testing.bigquery.faults import Fault
from questline_core.testing.bigquery.project import PROJECT, Job, Project, Refused, refusal
from questline_core.testing.bigquery.values import parameters
from questline_core.warehouse.columns import fit

_INSERT = re.compile(r"INSERT INTO ([\w.`]+)")
_CHANGED = re.compile(r"^\s*(?:DELETE FROM|UPDATE|INSERT INTO|MERGE(?: INTO)?) ([\w.`]+)")
_LEAST_BYTES = 10 * 2**20
"""What is billed at least for each table that a query reads."""


def insert(project: Project, body: dict[str, Any], content: bytes | None = None) -> dict[str, Any]:
    """Start a job and answer before it is done.

    Raises:
        Refused: there is a job of this id, or a dry run found a mistake.
    """
    name = body["jobReference"]["jobId"]
    dry = body["configuration"].get("dryRun", False)
    if project.faults.strike(Fault.INSERT_REFUSED):
        raise Refused(503, "backendError", "try again")
    if name in project.jobs:
        raise Refused(409, "duplicate", f"Already Exists: Job {PROJECT}:US.{name}")
    job = Job({"kind": "bigquery#job", "id": f"{PROJECT}:US.{name}", **body, "statistics": {}})
    job.resource["jobReference"] = {"projectId": PROJECT, "location": "US", "jobId": name}
    with project.lock:
        if dry:
            _dry_run(project, job)
            return {**job.resource, "status": {"state": "DONE"}}
        project.jobs[name] = job
        try:
            _run(project, job, content)
            job.resource["status"] = {"state": "DONE"}
        except Refused as error:
            problem = {"reason": error.reason, "message": error.message}
            job.resource["status"] = {"state": "DONE", "errorResult": problem, "errors": [problem]}
    if project.faults.strike(Fault.INSERT_ANSWER_LOST):
        raise Refused(503, "backendError", "try again")
    return {**job.resource, "status": {"state": "RUNNING"}, "statistics": {}}


def _run(project: Project, job: Job, content: bytes | None) -> None:
    for fault, reason, text in (
        (Fault.JOB_BACKEND_ERROR, "backendError", "An internal error occurred"),
        (Fault.QUOTA, "quotaExceeded", "Quota exceeded: too many bytes read today"),
    ):
        if project.faults.strike(fault):
            raise Refused(400, reason, text)
    if "load" in job.resource["configuration"]:
        _load(project, job, content)
    else:
        _query(project, job)


def _values(job: Job) -> tuple[str, dict[str, Any], dict[str, Any]]:
    query = job.resource["configuration"]["query"]
    if query.get("useLegacySql", True):
        raise Refused(400, "invalidQuery", "legacy SQL is not what Questline speaks")
    return query["query"], parameters(query.get("queryParameters", [])), query


def _query(project: Project, job: Job) -> None:
    text, values, query = _values(job)
    limit = int(query.get("maximumBytesBilled", 0))
    if limit and limit < _LEAST_BYTES:
        raise Refused(
            400, "bytesBilledLimitExceeded",
            f"Query exceeded limit for bytes billed: {limit}. {_LEAST_BYTES} or higher required.",
        )  # fmt: skip
    text = _without_transaction(project, text, values)
    changed = _CHANGED.match(text)
    before = _rows(project, changed[1]) if changed else 0
    try:
        found = project.warehouse.query(text, **values)
    except BadInput as error:
        raise refusal(error) from None
    statistics = job.resource["statistics"] = {"query": {"totalBytesProcessed": "1000"}}
    if changed:
        statistics["query"]["numDmlAffectedRows"] = str(abs(_rows(project, changed[1]) - before))
    job.rows = found if found.num_columns else None


def _without_transaction(project: Project, text: str, values: dict[str, Any]) -> str:
    """Run a transaction as plain statements, which the lock of the project keeps together."""
    if "BEGIN TRANSACTION" not in text:
        return text
    if project.faults.strike(Fault.JOB_CONFLICT):
        raise Refused(400, "invalidQuery", "Transaction is aborted due to concurrent update against table at [3:1]")
    target = _INSERT.search(text)
    if target is None:
        raise Refused(400, "invalidQuery", "this stand-in knows transactions that insert")
    values["rows_before"] = _rows(project, target[1])
    counted = f"(SELECT COUNT(*) FROM {target[1]}) - @rows_before"  # noqa: S608 - a name of the tests
    plain = text.replace("BEGIN TRANSACTION;", "").replace("COMMIT TRANSACTION;", "")
    return plain.replace("@@row_count", counted)


def _rows(project: Project, path: str) -> int:
    table = path.replace("`", "")
    return project.warehouse.describe(table).rows if table in project.warehouse.tables() else 0


def _dry_run(project: Project, job: Job) -> None:
    text, values, _ = _values(job)
    used = set(re.findall(r"(?<!@)@(\w+)", text))
    facts: dict[str, Any] = {"totalBytesProcessed": "0"}
    facts["undeclaredQueryParameters"] = [
        {"name": name, "parameterType": _guess(text, name)} for name in sorted(used - values.keys())
    ]
    if re.match(r"\s*(SELECT|WITH)\b", text, re.IGNORECASE):
        try:
            facts["totalBytesProcessed"] = str(project.warehouse.estimate(text).bytes_read)
        except BadInput as error:
            raise refusal(error) from None
    job.resource["statistics"] = {"query": facts, "totalBytesProcessed": facts["totalBytesProcessed"]}


def _guess(text: str, name: str) -> dict[str, Any]:
    """BigQuery infers the type from the whole query; here text in UNNEST, else INT64, is all that is asked."""
    listed = re.search(rf"UNNEST\(@{name}\)", text)
    return {"type": "ARRAY", "arrayType": {"type": "STRING"}} if listed else {"type": "INT64"}


def _load(project: Project, job: Job, content: bytes | None) -> None:
    load = job.resource["configuration"]["load"]
    reference = load["destinationTable"]
    name, _, day = reference["tableId"].partition("$")
    table = f"{reference['datasetId']}.{name}"
    project.need_dataset(reference["datasetId"])
    if load["sourceFormat"] != "PARQUET" or not load["parquetOptions"]["enableListInference"]:
        raise Refused(400, "invalid", "this stand-in loads Parquet, with list inference")
    rows = pq.read_table(io.BytesIO(content)) if content is not None else _fetch(project, load["sourceUris"])
    truncate = load["writeDisposition"] == "WRITE_TRUNCATE"
    try:
        _store(project, table, rows, load, date.fromisoformat(day) if day else None, truncate=truncate)
    except BadInput as error:
        raise Refused(400, "invalid", str(error)) from None
    job.resource["statistics"] = {"load": {"outputRows": str(rows.num_rows)}}


def _store(  # noqa: PLR0913 - a load's facts
    project: Project, table: str, rows: pa.Table, load: dict[str, Any], day: date | None, *, truncate: bool
) -> None:
    known = project.layouts.get(table, {})
    asked = load.get("timePartitioning")
    if known.get("timePartitioning") and asked and asked["field"] != known["timePartitioning"]["field"]:
        raise Refused(400, "invalid", "Incompatible table partitioning specification")
    if table not in project.warehouse.tables():
        project.warehouse.create(table, rows.schema)
        truncate = True
    if day is not None:
        column = known["timePartitioning"]["field"]
        others = f"SELECT * FROM {table} WHERE {column} IS DISTINCT FROM @day"  # noqa: S608 - names of the tests
        schema = project.warehouse.describe(table).schema
        kept_rows = fit(project.warehouse.query(others, day=day), schema, table)
        project.warehouse.replace(table, pa.concat_tables([kept_rows, fit(rows, schema, table)]))
    elif truncate:
        project.warehouse.replace(table, rows)
        kept = {key: load[key] for key in ("timePartitioning", "clustering") if key in load}
        project.layouts[table] = kept | ({"schema": load["schema"]} if "schema" in load else {})
    else:
        fit(rows, project.warehouse.describe(table).schema, table)
        project.warehouse.append(table, rows)


def _fetch(project: Project, uris: list[str]) -> pa.Table:
    found = [_download(project, bucket, name) for bucket, name in _objects(project, uris)]
    if not found:
        raise Refused(404, "notFound", f"Not found: URI {uris[0]}")
    return pa.concat_tables(pq.read_table(io.BytesIO(content)) for content in found)


def _objects(project: Project, uris: list[str]) -> Iterator[tuple[str, str]]:
    for uri in uris:
        bucket, _, pattern = uri.removeprefix("gs://").partition("/")
        listing = httpx.get(f"{project.storage}/storage/v1/b/{bucket}/o").json()
        for item in listing.get("items", ()):
            if fnmatchcase(item["name"], pattern):
                yield bucket, item["name"]


def _download(project: Project, bucket: str, name: str) -> bytes:
    return httpx.get(f"{project.storage}/download/storage/v1/b/{bucket}/o/{name}", params={"alt": "media"}).content
