"""The gateway's picture of a model's revisions: who is asked, and what is kept while the host says nothing."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from queue import Queue
from typing import cast

import pytest

from questline_core.errors import NotReady
from questline_core.models.folder import ServingFolder
from questline_core.models.manifests import spend_service
from questline_core.models.port import ModelHost, RevisionStatus, ServiceStatus, open_model_host
from questline_ingest.open_inference import ModelUnavailable
from questline_ingest.revisions import Revision, Revisions, asked_now
from questline_ingest.router import open_router
from questline_ingest.testing import ModelServer, until
from questline_ingest.watcher import following


def told(*revisions: tuple[str, int, bool], address: str = "") -> ServiceStatus:
    """What a host says: revision, percent and readiness of each, the stable one first."""
    return ServiceStatus(
        name="spend",
        ready=True,
        revision="",
        wanted="",
        message="",
        rest_url="",
        grpc_address="",
        revisions=tuple(
            RevisionStatus(
                revision=name, stable=not at, percent=percent, ready=ready, grpc_address=address or f"{name}:1"
            )
            for at, (name, percent, ready) in enumerate(revisions)
        ),
    )


def shares(revisions: Revisions) -> dict[str, float]:
    return {one.version: one.share for one in revisions.all}


@pytest.mark.parametrize(
    ("status", "asked"),
    [
        (told(("v1", 100, True), ("v2", 0, True)), {"v1": 100}),
        (told(("v1", 80, True), ("v2", 20, True)), {"v1": 80, "v2": 20}),
        (told(("v1", 80, True), ("v2", 20, False)), {"v1": 80}),
        (told(("v1", 100, False)), {}),
    ],
)
def test_only_who_answers_and_has_a_share_is_asked(status: ServiceStatus, asked: dict[str, float]) -> None:
    assert shares(asked_now(status)) == asked


class Scripted:
    """A host that says what it is told to say, or fails."""

    def __init__(self) -> None:
        self.says: Queue[ServiceStatus | Exception] = Queue()

    def follow(self, name: str) -> Iterator[ServiceStatus]:
        assert name == "spend"
        while True:
            said = self.says.get(timeout=60)
            if isinstance(said, Exception):
                raise said
            yield said


async def test_the_last_good_picture_is_kept_while_the_host_is_away_or_nothing_answers() -> None:
    host, pictures = Scripted(), list[Revisions]()
    async with following(cast("ModelHost", host), "spend", pictures.append):
        host.says.put(told(("v1", 100, True)))
        host.says.put(NotReady("the API server does not answer"))
        host.says.put(ValueError("not JSON"))
        host.says.put(told(("v1", 100, False)))
        host.says.put(told(("v1", 100, True)))
        host.says.put(told(("v1", 90, True), ("v2", 10, True)))
        await until(lambda: len(pictures) == 2)

    assert [shares(one) for one in pictures] == [{"v1": 100}, {"v1": 90, "v2": 10}]
    host.says.put(told())  # lets its thread see the end


async def test_a_folder_is_followed_and_each_request_names_its_revision(tmp_path: Path) -> None:
    model = ModelServer()
    await model.start()
    folder, host = ServingFolder(tmp_path), open_model_host(f"folder:{tmp_path}")

    with folder.occupied():
        async with open_router(f"folder:{tmp_path}", timeout_s=5, observe=lambda *_: None) as router:
            ask = partial(router.ask, [{"events": 1.0}], players=["player"], timeout_s=5)
            with pytest.raises(ModelUnavailable, match="no revision of it has answered yet"):
                await ask()
            host.apply(spend_service("spend", "v1", "/models/v1"))
            report(folder, told(("v1", 100, True), address=model.address))
            await until(lambda: router._now == Revisions((revision(model, "v1"),)))
            await ask()
            report(folder, told(("v2", 100, True), ("v1", 0, True), address=model.address))
            await until(lambda: router._now == Revisions((revision(model, "v2"),)))
            await ask()
    await model.stop()

    assert [request.model_version for request in model.asked] == ["v1", "v2"]


def revision(model: ModelServer, version: str) -> Revision:
    return Revision(address=model.address, share=100, version=version)


def report(folder: ServingFolder, status: ServiceStatus) -> None:
    declaration = folder.declaration("spend")
    assert declaration
    folder.report(status, generation=declaration.generation)
