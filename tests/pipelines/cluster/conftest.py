"""A stand-in for Kubeflow Pipelines: the part of its API (v2beta1) that is asked here, over HTTP, with a memory.

It answers as the reference of the API says, and runs nothing. A real server has not been tried.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from email import message_from_bytes
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml

from questline_core.testing.http_server import Handler, serving
from questline_pipelines.cluster.client import Kubeflow
from questline_pipelines.settings import PipelineSettings

KINDS = {"pipelines": "pipeline", "runs": "run", "experiments": "experiment", "recurringruns": "recurring_run"}
LISTS = {"recurringruns": "recurringRuns"}


@dataclass
class Server:
    """What the stand-in holds, newest last."""

    url: str = ""
    held: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: {kind: [] for kind in KINDS})
    versions: list[dict[str, Any]] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)

    def make(self, kind: str, content: dict[str, Any]) -> dict[str, Any]:
        made = content | {f"{KINDS[kind]}_id": f"{KINDS[kind]}-{len(self.held[kind]) + 1}"}
        self.held[kind].append(made | ({"state": "PENDING"} if kind == "runs" else {}))
        return made

    def upload(self, query: dict[str, str], package: bytes) -> dict[str, Any]:
        made = {
            "pipeline_id": query["pipelineid"],
            "pipeline_version_id": f"version-{len(self.versions) + 1}",
            "display_name": query["name"],
            "tags": json.loads(query["tags"]),
            "pipeline_spec": next(yaml.safe_load_all(package)),
        }
        self.versions.append(made)
        return made

    def find(self, kind: str, query: dict[str, str]) -> list[dict[str, Any]]:
        found = self.held[kind]
        for wanted in json.loads(query.get("filter", "{}")).get("predicates", []):
            found = [one for one in found if one[wanted["key"]] == wanted["string_value"]]
        if "experiment_id" in query:
            found = [one for one in found if one["experiment_id"] == query["experiment_id"]]
        return found[::-1]

    def answer(self, method: str, path: str, query: dict[str, str], body: bytes, kind: str) -> tuple[int, Any]:
        if method == "POST" and path.endswith("/upload_version"):
            message = message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + body)
            (part,) = (one.get_payload(decode=True) for one in message.walk() if not one.is_multipart())
            assert isinstance(part, bytes)
            return 200, self.upload(query, part)
        if match := re.fullmatch(r"/apis/v2beta1/pipelines/([^/]+)/versions", path):
            mine = [one for one in self.versions if one["pipeline_id"] == match[1]]
            return 200, {"pipeline_versions": mine[::-1]}
        match = re.fullmatch(r"/apis/v2beta1/(\w+)(?:/([^/]+))?", path)
        assert match, path
        of, named = match[1], match[2]
        if method == "POST":
            return 200, self.make(of, json.loads(body))
        if named is None:
            return 200, {LISTS.get(of, of): self.find(of, query)}
        one = next((one for one in self.held[of] if one[f"{KINDS[of]}_id"] == named), None)
        if one is None:
            return 404, {"error": f"{named} was not found"}
        if method == "DELETE":
            self.held[of].remove(one)
        return 200, one


@pytest.fixture
def server() -> Iterator[Server]:
    held = Server()

    class Answers(Handler):
        def answer(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            held.tokens.append(self.headers.get("Authorization", ""))
            status, answer = held.answer(self.command, parts.path, query, body, self.headers.get("Content-Type", ""))
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        do_GET = do_POST = do_DELETE = answer  # noqa: N815 - the names that the library calls

    with serving(Answers) as held.url:
        yield held


@pytest.fixture
def kubeflow(server: Server, tmp_path: Path) -> Kubeflow:
    token = tmp_path / "token"
    token.write_text("secret\n")
    return Kubeflow(PipelineSettings.read(kfp_endpoint=server.url, kfp_token=token, kfp_account="steps"))
