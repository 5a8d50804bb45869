"""Make the repository serve what the InferenceServices of a folder declare, now and after each change."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog
from watchfiles import awatch

from questline_core.errors import BadInput, QuestlineError
from questline_core.models.folder import Declaration, ServingFolder
from questline_core.models.manifests import Service, from_yaml, service_of
from questline_core.models.port import ServiceStatus
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
    _served: dict[str, Service] = field(default_factory=dict)
    """What answers."""

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
        declared, before = self.folder.names(), dict(self._served)
        for name in declared:
            await self._consider(name)
        for name in sorted(self._judged.keys() - set(declared)):
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
        wanted, refusal = await self._take(declaration)
        self.on_change()
        self._report(declaration, wanted=wanted, refusal=refusal)
        self._judged[name] = declaration.generation

    async def _take(self, declaration: Declaration) -> tuple[str, str]:
        """Serve what is declared; return the revision that was wanted and why it was refused, if it was."""
        name, wanted = declaration.name, ""
        try:
            service = _service_named(declaration)
            wanted = service.revision
            if self._served.get(name) != service:
                self.repository.swap(name, await asyncio.to_thread(self.load, service))
                self._served[name] = service
        except QuestlineError as error:
            log.warning("revision refused", service=name, revision=wanted, reason=str(error))
            return wanted, str(error)
        log.info("revision serves", service=name, revision=wanted)
        return wanted, ""

    def _drop(self, name: str) -> None:
        self.repository.drop(name)
        self._served.pop(name, None)
        self.on_change()
        self.folder.forget(name)
        del self._judged[name]
        log.info("service withdrawn", service=name)

    def _report(self, declaration: Declaration, *, wanted: str, refusal: str) -> None:
        status = ServiceStatus(
            name=declaration.name,
            ready=not refusal,
            revision=self.repository.revisions().get(declaration.name, ""),
            wanted=wanted,
            message=refusal,
            rest_url=self.rest_url,
            grpc_address=self.grpc_address,
        )
        self.folder.report(status, generation=declaration.generation)


def _service_named(declaration: Declaration) -> Service:
    service = service_of(from_yaml(declaration.text))
    if service.name != declaration.name:
        raise BadInput(f"{declaration.name}.yaml declares {service.name!r}; name the file {service.name}.yaml")
    return service
