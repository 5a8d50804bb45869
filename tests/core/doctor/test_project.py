"""Traps of a project, against a stand-in that answers as the pages of both APIs show; no real project was asked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from google.auth.credentials import AnonymousCredentials
from google.auth.transport.requests import AuthorizedSession

from questline_core.doctor.findings import Finding, Verdict
from questline_core.doctor.project import RIGHTS, SERVICES, examine_project
from questline_core.errors import NotReady
from questline_core.testing.http_server import Handler, serving


@dataclass
class Project:
    """What the stand-in knows."""

    url: str = ""
    off: set[str] = field(default_factory=set)
    rights: set[str] = field(default_factory=lambda: set(RIGHTS))
    denied: bool = False

    def answer(self, path: str, body: bytes) -> tuple[int, Any]:
        parts = urlsplit(path)
        if self.denied:
            return 403, {
                "error": {"code": 403, "message": "Permission denied to list services", "status": "PERMISSION_DENIED"}
            }
        if parts.path == "/v1/projects/game/services:batchGet":
            names = parse_qs(parts.query)["names"]
            state = {name: "DISABLED" if name.rpartition("/")[2] in self.off else "ENABLED" for name in names}
            return 200, {"services": [{"name": name, "state": state[name]} for name in names]}
        assert parts.path == "/v1/projects/game:testIamPermissions"
        held = [one for one in json.loads(body)["permissions"] if one in self.rights]
        return 200, {"permissions": held} if held else {}


@pytest.fixture
def project() -> Iterator[Project]:
    known = Project()

    class Answers(Handler):
        def answer(self) -> None:
            status, told = known.answer(self.path, self.rfile.read(int(self.headers.get("Content-Length") or 0)))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(told).encode())

        do_GET = do_POST = answer  # noqa: N815 - the names that the library calls

    with serving(Answers) as known.url:
        yield known


def look(project: Project) -> list[Finding]:
    with AuthorizedSession(AnonymousCredentials()) as session:  # type: ignore[no-untyped-call]
        return list(examine_project(session, "game", usage=project.url, resources=project.url))


def test_a_good_project_has_no_traps(project: Project) -> None:
    found = look(project)

    assert {one.verdict for one in found} == {Verdict.GOOD}
    assert len(found) == 1 + len(RIGHTS)
    assert found[0].found == f"all {len(SERVICES)} are on"


def test_services_that_are_off_are_named_with_the_command_that_turns_them_on(project: Project) -> None:
    project.off = {"pubsub.googleapis.com", "dataflow.googleapis.com"}
    first, *_ = look(project)

    assert first.verdict is Verdict.BAD
    assert first.fix == "gcloud services enable dataflow.googleapis.com pubsub.googleapis.com --project game"


def test_each_missing_right_says_what_it_is_for(project: Project) -> None:
    project.rights = set(RIGHTS) - {"pubsub.topics.publish"}
    (bad,) = (one for one in look(project) if one.verdict is Verdict.BAD)
    assert bad.found == "pubsub.topics.publish is missing in the project"
    assert "roles/pubsub.publisher" in bad.fix

    project.rights = set()
    assert sum(one.verdict is Verdict.BAD for one in look(project)) == len(RIGHTS)


def test_what_may_not_be_asked_or_does_not_answer_is_one_sentence(project: Project) -> None:
    project.denied = True
    with pytest.raises(NotReady, match="answers 403: Permission denied to list services"):
        look(project)
    project.url = "http://127.0.0.1:9"
    with pytest.raises(NotReady, match="does not answer"):
        look(project)
