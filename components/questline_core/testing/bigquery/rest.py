"""The stand-in's REST API: the calls of BigQuery v2 that the adapter makes, and uploads."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from questline_core.testing.bigquery import jobs
from questline_core.testing.bigquery.faults import Fault
from questline_core.testing.bigquery.project import PROJECT, Job, Project, Refused
from questline_core.testing.bigquery.values import fields_json, rows_json

PAGE_ROWS = 500
_API = f"/bigquery/v2/projects/{PROJECT}"
Call = Callable[[Project, "re.Match[str]", dict[str, str], dict[str, Any]], Any]


def _insert_job(project: Project, _match: re.Match[str], _query: dict[str, str], body: dict[str, Any]) -> Any:
    return jobs.insert(project, body)


def _job(project: Project, match: re.Match[str]) -> Job:
    if match[1] not in project.jobs:
        raise Refused(404, "notFound", f"Not found: Job {PROJECT}:US.{match[1]}")
    return project.jobs[match[1]]


def _get_job(project: Project, match: re.Match[str], _query: dict[str, str], _body: dict[str, Any]) -> Any:
    job = _job(project, match)
    job.asked += 1
    return job.resource


def _results(project: Project, match: re.Match[str], query: dict[str, str], _body: dict[str, Any]) -> Any:
    job = _job(project, match)
    problem = job.resource["status"].get("errorResult")
    if problem:
        raise Refused(400, problem["reason"], problem["message"])
    answer = {"jobReference": job.resource["jobReference"], "jobComplete": True, "kind": "bigquery#queryResponse"}
    if job.rows is None:
        return answer | {"numDmlAffectedRows": job.resource["statistics"]["query"].get("numDmlAffectedRows", "0")}
    start = int(query.get("pageToken") or query.get("startIndex") or 0)
    size = min(int(query.get("maxResults", PAGE_ROWS)), PAGE_ROWS)
    page = job.rows.slice(start, size)
    answer |= {"schema": {"fields": fields_json(job.rows.schema)}, "totalRows": str(job.rows.num_rows)}
    if page.num_rows:
        answer["rows"] = rows_json(page)
    if size and start + size < job.rows.num_rows:
        answer["pageToken"] = str(start + size)
    return answer


def _insert_dataset(project: Project, _match: re.Match[str], _query: dict[str, str], body: dict[str, Any]) -> Any:
    name = body["datasetReference"]["datasetId"]
    if name in project.datasets:
        raise Refused(409, "duplicate", f"Already Exists: Dataset {PROJECT}:{name}")
    project.datasets[name] = body
    return body


def _delete_dataset(project: Project, match: re.Match[str], _query: dict[str, str], _body: dict[str, Any]) -> Any:
    project.need_dataset(match[1])
    for table in project.warehouse.tables():
        if table.startswith(f"{match[1]}."):
            project.warehouse.query(f"DROP TABLE {table}")
    del project.datasets[match[1]]
    return {}


def _list_datasets(project: Project, _match: re.Match[str], _query: dict[str, str], _body: dict[str, Any]) -> Any:
    references = [{"projectId": PROJECT, "datasetId": name} for name in sorted(project.datasets)]
    return {"datasets": [{"id": name["datasetId"], "datasetReference": name} for name in references]}


def _insert_table(project: Project, match: re.Match[str], _query: dict[str, str], body: dict[str, Any]) -> Any:
    table = f"{match[1]}.{body['tableReference']['tableId']}"
    with project.lock:
        project.make_table(table, body)
        return project.table(table)


def _list_tables(project: Project, match: re.Match[str], _query: dict[str, str], _body: dict[str, Any]) -> Any:
    project.need_dataset(match[1])
    names = [name.partition(".") for name in project.warehouse.tables()]
    references = [
        {"projectId": PROJECT, "datasetId": one, "tableId": other} for one, _, other in names if one == match[1]
    ]
    return {"tables": [{"tableReference": reference, "type": "TABLE"} for reference in references]}


def _get_table(project: Project, match: re.Match[str], _query: dict[str, str], _body: dict[str, Any]) -> Any:
    with project.lock:
        return project.table(f"{match[1]}.{match[2]}")


def _patch_table(project: Project, match: re.Match[str], _query: dict[str, str], body: dict[str, Any]) -> Any:
    table = f"{match[1]}.{match[2]}"
    with project.lock:
        project.add_columns(table, body["schema"])
        return project.table(table)


_CALLS: tuple[tuple[str, re.Pattern[str], Call], ...] = tuple(
    (method, re.compile(_API + path), call)
    for method, path, call in (
        ("POST", r"/jobs", _insert_job),
        ("GET", r"/jobs/([^/]+)", _get_job),
        ("GET", r"/queries/([^/]+)", _results),
        ("POST", r"/datasets", _insert_dataset),
        ("GET", r"/datasets", _list_datasets),
        ("DELETE", r"/datasets/(\w+)", _delete_dataset),
        ("POST", r"/datasets/(\w+)/tables", _insert_table),
        ("GET", r"/datasets/(\w+)/tables", _list_tables),
        ("GET", r"/datasets/(\w+)/tables/([\w$]+)", _get_table),
        ("PATCH", r"/datasets/(\w+)/tables/(\w+)", _patch_table),
    )
)


class RestServer(ThreadingHTTPServer):
    """Listens on a free port of this machine."""

    daemon_threads = True

    def __init__(self, project: Project) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.project = project
        self.uploads = dict[str, tuple[dict[str, Any], bytearray]]()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: RestServer

    def do_GET(self) -> None:
        self._answer(self._call)

    def do_POST(self) -> None:
        self._answer(self._upload if self.path.startswith("/upload/") else self._call)

    def do_DELETE(self) -> None:
        self._answer(self._call)

    def do_PATCH(self) -> None:
        self._answer(self._call)

    def do_PUT(self) -> None:
        self._answer(self._chunk)

    def log_message(self, *_: Any) -> None:
        """Stay silent."""

    def _answer(self, act: Callable[[str, dict[str, str], bytes], tuple[int, Any, dict[str, str]]]) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        try:
            self._strike()
            status, body, headers = act(url.path, query, content)
        except Refused as error:
            status, body, headers = error.status, error.json(), {}
        text = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(text)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text)

    def _strike(self) -> None:
        faults = self.server.project.faults
        if faults.strike(Fault.RATE_LIMIT):
            raise Refused(403, "rateLimitExceeded", "Exceeded rate limits: too many api requests")
        if faults.strike(Fault.FORBIDDEN):
            raise Refused(
                403, "accessDenied", f"Access Denied: Project {PROJECT}: User does not have bigquery.jobs.create"
            )

    def _call(self, path: str, query: dict[str, str], content: bytes) -> tuple[int, Any, dict[str, str]]:
        body = json.loads(content) if content else {}
        for method, pattern, call in _CALLS:
            match = pattern.fullmatch(path)
            if match and method == self.command:
                return 200, call(self.server.project, match, query, body), {}
        raise Refused(404, "notFound", f"this stand-in does not answer {self.command} {path}")

    def _upload(self, _path: str, query: dict[str, str], content: bytes) -> tuple[int, Any, dict[str, str]]:
        if query["uploadType"] == "multipart":
            head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
            parts: Any = message_from_bytes(head + content).get_payload()
            body, file = (part.get_payload(decode=True) for part in parts)
            return 200, jobs.insert(self.server.project, json.loads(body), file), {}
        name = secrets.token_hex(8)
        self.server.uploads[name] = (json.loads(content), bytearray())
        where = f"http://{self.headers['Host']}/upload/session/{name}"
        return 200, {}, {"Location": where}

    def _chunk(self, path: str, _query: dict[str, str], content: bytes) -> tuple[int, Any, dict[str, str]]:
        body, received = self.server.uploads[path.rpartition("/")[2]]
        place = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", self.headers["Content-Range"])
        if place is None or int(place[1]) != len(received):
            raise Refused(400, "invalid", "this part of the upload does not follow the one before")
        received.extend(content)
        if place[3] == "*" or int(place[3]) > len(received):
            return 308, {}, {"Range": f"bytes=0-{len(received) - 1}"}
        return 200, jobs.insert(self.server.project, body, bytes(received)), {}
