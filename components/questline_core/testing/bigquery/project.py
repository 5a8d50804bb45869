"""One project as BigQuery keeps it: datasets, tables and jobs; the rows lie in an embedded warehouse."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from questline_core.errors import BadInput
from questline_core.testing.bigquery.faults import Faults
from questline_core.testing.bigquery.values import arrow_schema, fields_json
from questline_core.warehouse.embedded import open_embedded

PROJECT = "stand-in"
_PLACE = re.compile(r"^line (\d+), column (\d+): ")
_LAYOUT = ("timePartitioning", "clustering", "description", "labels")


class Refused(Exception):
    """An answer of the API that is an error."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status, self.reason, self.message = status, reason, message

    def json(self) -> dict[str, Any]:
        """Give the body of the answer."""
        first = {"reason": self.reason, "message": self.message, "domain": "global"}
        return {"error": {"code": self.status, "message": self.message, "errors": [first]}}


@dataclass
class Job:
    """A job that has run."""

    resource: dict[str, Any]
    rows: pa.Table | None = None
    asked: int = 0
    """How often somebody asked for it."""


@dataclass
class Project:
    """All that the stand-in knows."""

    folder: Path
    faults: Faults = field(default_factory=Faults)
    datasets: dict[str, dict[str, Any]] = field(default_factory=dict)
    layouts: dict[str, dict[str, Any]] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)
    storage: str = ""
    """Address of a server that speaks Cloud Storage's API, for load jobs."""
    lock: threading.RLock = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        """Open the warehouse behind."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.warehouse = open_embedded(str(self.folder / "warehouse"))

    def need_dataset(self, dataset: str) -> None:
        """Refuse what asks for a dataset that is not there."""
        if dataset not in self.datasets:
            raise Refused(404, "notFound", f"Not found: Dataset {PROJECT}:{dataset}")

    def need_table(self, table: str) -> None:
        """Refuse what asks for a table that is not there."""
        self.need_dataset(table.partition(".")[0])
        if table not in self.warehouse.tables():
            raise Refused(404, "notFound", f"Not found: Table {PROJECT}:{table}")

    def make_table(self, table: str, resource: dict[str, Any]) -> None:
        """Make a table as tables.insert does."""
        self.need_dataset(table.partition(".")[0])
        if table in self.warehouse.tables():
            raise Refused(409, "duplicate", f"Already Exists: Table {PROJECT}:{table}")
        self.warehouse.create(table, arrow_schema(resource["schema"]["fields"], self.folder))
        self.layouts[table] = {key: resource[key] for key in _LAYOUT if key in resource} | {
            "schema": resource["schema"]
        }

    def add_columns(self, table: str, schema: dict[str, Any]) -> None:
        """Give a table the columns that it lacks, as tables.patch does."""
        self.need_table(table)
        try:
            self.warehouse.create(table, arrow_schema(schema["fields"], self.folder))
        except BadInput as error:
            raise Refused(400, "invalid", f"Provided Schema does not match Table {PROJECT}:{table}: {error}") from None
        self.layouts[table] = {**self.layouts.get(table, {}), "schema": schema}

    def table(self, table: str) -> dict[str, Any]:
        """Describe a table as tables.get does; its times follow from its content alone."""
        self.need_table(table)
        described = self.warehouse.describe(table)
        made, _, changes = self.warehouse.version(table).partition(".")
        created = 1_700_000_000_000 + int(made, 16)
        dataset, _, name = table.partition(".")
        return {
            "kind": "bigquery#table",
            "id": f"{PROJECT}:{table}",
            "tableReference": {"projectId": PROJECT, "datasetId": dataset, "tableId": name},
            "type": "TABLE",
            "schema": {"fields": fields_json(described.schema)},
            "numRows": str(described.rows),
            "creationTime": str(created),
            "lastModifiedTime": str(created + int(changes)),
            **self.layouts.get(table, {}),
        }


def refusal(error: BadInput) -> Refused:
    """Say in BigQuery's words why a query is refused."""
    text = str(error)
    place = _PLACE.match(text)
    where = f" at [{place[1]}:{place[2]}]" if place else ""
    text = _PLACE.sub("", text)
    if found := re.match(r"there is no table ([\w.]+)", text):
        return Refused(404, "notFound", f"Not found: Table {PROJECT}:{found[1]} was not found in location US{where}")
    if found := re.match(r"there is no column (\w+)(?:; similar: \"?(\w+))?", text):
        hint = f"; Did you mean {found[2]}?" if found[2] else ""
        return Refused(400, "invalidQuery", f"Unrecognized name: {found[1]}{hint}{where}")
    if found := re.match(r"the query uses @(\w+)", text):
        return Refused(400, "invalidQuery", f"Query parameter '{found[1]}' not found{where or ' at [1:1]'}")
    return Refused(400, "invalidQuery", f"Syntax error: {text}{where}")
