"""Let new generations of the served lookups answer soon after they are published, and tell Prometheus about them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager

import structlog
from prometheus_client import REGISTRY

from questline_core.lookup import Lookup, LookupFacts
from questline_core.lookup.metrics import LookupCollector
from questline_kserve.lookup.served import ServedLookup
from questline_kserve.repository import Repository

log = structlog.get_logger()

LOOK_EVERY_S = 1.0
"""One small file is read each time."""


@asynccontextmanager
async def following_generations(repository: Repository) -> AsyncIterator[None]:
    """Keep all lookups of the repository at their newest generation until the block ends."""
    following = asyncio.create_task(_follow(repository))
    try:
        with _measured(repository):
            yield
    finally:
        following.cancel()


def lookups(repository: Repository) -> dict[str, Lookup]:
    """Give the lookups that answer, by name."""
    served = repository.served().items()
    return {name: version.lookup for name, version in served if isinstance(version, ServedLookup)}


async def _follow(repository: Repository) -> None:
    while True:
        for name, lookup in lookups(repository).items():
            try:
                await asyncio.to_thread(lookup.refresh)
            except OSError as error:  # the drive is away: what answers answers on, and the next look tries again
                log.error("lookup not followed", service=name, reason=str(error))  # noqa: TRY400 - it says it all
        await asyncio.sleep(LOOK_EVERY_S)


@contextmanager
def _measured(repository: Repository) -> Iterator[None]:
    def facts() -> Mapping[str, LookupFacts]:
        return {name: lookup.facts() for name, lookup in lookups(repository).items()}

    collector = LookupCollector(facts)
    REGISTRY.register(collector)
    try:
        yield
    finally:
        REGISTRY.unregister(collector)
