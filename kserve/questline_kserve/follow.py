"""Make the repository serve what the InferenceServices of a folder declare, now and after each change."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import structlog
from watchfiles import awatch

from questline_core.errors import BadInput, QuestlineError
from questline_core.models.canary import Declared, declared
from questline_core.models.folder import Declaration, ServingFolder
from questline_core.models.manifests import Service, from_yaml
from questline_core.models.port import RevisionStatus, ServiceStatus
from questline_kserve.repository import Repository
from questline_kserve.tensorflow import tensorflow
from questline_kserve.version import Servable

log = structlog.get_logger()

LOOK_EVERY_MS = 5_000
"""The folder is looked at this often even if no change is noticed, as on a network drive."""
GATHER_MS = 200
"""Changes that come this close together are looked at once."""


@dataclass(slots=True)
class Follower:
    """Takes one declaration after the other; a revision that is refused leaves the one before in place."""

    folder: ServingFolder
    repository: Repository
    rest_url: str
    grpc_address: str
    load: Callable[[Service], Servable]
    """Loads what a service wants, or raises a QuestlineError that says why not."""
    on_change: Callable[[], None] = lambda: None
    """Called after each change of what answers."""
    _judged: dict[str, str] = field(default_factory=dict)
    """Name -> generation of the manifest that was taken or refused last."""
    _served: dict[str, dict[Service, Servable]] = field(default_factory=dict)
    """What answers under each name."""

    async def follow(self, stop: asyncio.Event) -> None:
        """Keep up with the folder until told to stop."""
        await asyncio.to_thread(tensorflow)  # so that the first revision need not wait for it
        await self.catch_up()
        changes = awatch(
            self.folder.manifests,
            watch_filter=None,
            debounce=GATHER_MS,
            stop_event=stop,
            rust_timeout=LOOK_EVERY_MS,
            yield_on_timeout=True,
        )
        async for _ in changes:
            try:
                await self.catch_up()
            except (BadInput, OSError) as error:  # what answers goes on answering; the next look tries again
                log.error("folder not followed", reason=str(error))  # noqa: TRY400 - the reason says it all

    async def catch_up(self) -> None:
        """Look at the folder once and do what its changes ask for."""
        names, before = self.folder.names(), dict(self._served)
        for name in names:
            await self._consider(name)
        for name in sorted(self._judged.keys() - set(names)):
            self._drop(name)
        if before != self._served:
            await asyncio.to_thread(gc.collect)  # a SavedModel is a graph of cycles, which nothing else frees soon

    async def _consider(self, name: str) -> None:
        try:
            declaration = self.folder.declaration(name)
        except BadInput as error:
            log.warning("manifest unreadable", service=name, reason=str(error))
            return
        if declaration is None or self._judged.get(name) == declaration.generation:
            return
        taken = await self._take(declaration)
        self.on_change()
        self._report(declaration, taken)
        self._judged[name] = declaration.generation

    async def _take(self, declaration: Declaration) -> _Taken:
        """Serve what is declared; a stable revision that is refused leaves the one before in its place."""
        try:
            wanted = _declared_under(declaration)
        except QuestlineError as error:
            log.warning("manifest refused", service=declaration.name, reason=str(error))
            return _Taken(reason=str(error))
        refused: dict[str, str] = {}
        loaded: dict[Service, Servable] = {}
        for one in wanted:
            try:
                loaded[one.service] = await self._loaded(one.service)
            except QuestlineError as error:
                log.warning(
                    "revision refused", service=declaration.name, revision=one.service.revision, reason=str(error)
                )
                refused[one.service.revision] = str(error)
        self._serve(declaration.name, wanted[0].service, loaded)
        return _Taken(wanted=wanted, refused=refused, reason=refused.get(wanted[0].service.revision, ""))

    async def _loaded(self, service: Service) -> Servable:
        """Give what serves already, or load it."""
        held = self._served.get(service.name, {}).get(service)
        return held if held is not None else await asyncio.to_thread(self.load, service)

    def _serve(self, name: str, stable: Service, loaded: dict[Service, Servable]) -> None:
        """Let the stable revision answer, or else what answered before, and the others to those who name them."""
        before = self.repository.served().get(name)
        kept = {service: one for service, one in self._served.get(name, {}).items() if one is before}
        serving = loaded if stable in loaded else {**loaded, **kept}
        answering = loaded.get(stable, before)
        if answering is None:
            return
        self.repository.swap(name, answering, [one for one in serving.values() if one is not answering])
        self._served[name] = serving
        log.info("revisions serve", service=name, stable=answering.revision, all=list(self.repository.versions(name)))

    def _drop(self, name: str) -> None:
        self.repository.drop(name)
        self._served.pop(name, None)
        self.on_change()
        self.folder.forget(name)
        del self._judged[name]
        log.info("service withdrawn", service=name)

    def _report(self, declaration: Declaration, taken: _Taken) -> None:
        answering = self.repository.versions(declaration.name)
        revisions = tuple(
            RevisionStatus(
                revision=one.service.revision,
                stable=one.stable,
                percent=one.percent,
                ready=one.service.revision in answering and one.service.revision not in taken.refused,
                message=taken.refused.get(one.service.revision, ""),
                rest_url=self.rest_url,
                grpc_address=self.grpc_address,
            )
            for one in taken.wanted
        )
        status = ServiceStatus(
            name=declaration.name,
            ready=not taken.reason,
            revision=self.repository.revisions().get(declaration.name, ""),
            wanted=revisions[0].revision if revisions else "",
            message=taken.reason,
            rest_url=self.rest_url,
            grpc_address=self.grpc_address,
            revisions=revisions,
        )
        self.folder.report(status, generation=declaration.generation)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Taken:
    """What became of one manifest."""

    wanted: tuple[Declared, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)
    """Revision -> why it cannot answer."""
    reason: str = ""
    """Why the stable revision cannot answer; empty when it does."""


def _declared_under(declaration: Declaration) -> tuple[Declared, ...]:
    revisions = declared(from_yaml(declaration.text))
    name = revisions[0].service.name
    if name != declaration.name:
        raise BadInput(f"{declaration.name}.yaml declares {name!r}; name the file {name}.yaml")
    return revisions
