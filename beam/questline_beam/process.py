"""Put the stream process together and let it work."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING

import structlog

from questline_beam.following import Following, Rest
from questline_beam.settings import StreamSettings
from questline_beam.tables import create_tables
from questline_core.broker.port import Broker, open_broker
from questline_core.events.sessions import refresh_sessions
from questline_core.features.refresh import refresh
from questline_core.features.store import open_writer
from questline_core.privacy.forgotten import Forgotten
from questline_core.privacy.key import open_key
from questline_core.processes import announced
from questline_core.warehouse.port import Warehouse, open_warehouse

if TYPE_CHECKING:
    from questline_beam.driver import Progress

log = structlog.get_logger()

REST = {"features": Rest(times=4), "sessions": Rest(times=19, least_s=5)}
"""Each works a part of the time of its thread: features a fifth, for the gateway reads them; sessions a twentieth."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the stream works between."""

    broker: Broker
    warehouse: Warehouse
    followers: tuple[Following, ...]
    """What is derived of the players whose rows were written."""
    forgotten: Forgotten

    def note(self, players: Collection[str]) -> None:
        """Say that rows of these players were written."""
        for follower in self.followers:
            follower.note(players)


@contextmanager
def opened(settings: StreamSettings) -> Iterator[Parts]:
    """Open broker, warehouse and what follows it.

    Raises:
        QuestlineError: one of them cannot be opened.
    """
    with (
        closing(open_broker(settings.broker_url)) as broker,
        closing(open_warehouse(settings.warehouse_url)) as warehouse,
        closing(open_warehouse(settings.warehouse_url)) as history,  # for the threads of the followers
        open_writer(settings.paths.features) as store,
    ):
        key = open_key(settings)
        refreshes: Mapping[str, Callable[[Collection[str] | None], object]] = {
            "features": partial(refresh, history, store, forgotten=Forgotten(history, key)),
            "sessions": partial(refresh_sessions, history, forgotten=Forgotten(history, key)),
        }
        followers = tuple(Following(what, work, rest=REST[what]) for what, work in refreshes.items())
        yield Parts(broker=broker, warehouse=warehouse, followers=followers, forgotten=Forgotten(warehouse, key))


def run_stream(settings: StreamSettings, stop: threading.Event, *, until_idle: bool) -> Progress:
    """Work until told to stop, or until nothing waits; return what was done.

    Raises:
        QuestlineError: something cannot be opened; or, until idle, a batch cannot be written.
    """
    with opened(settings) as parts:
        create_tables(parts.warehouse)
        # Beam takes seconds to load: what cannot be opened is told before.
        from questline_beam.driver import Driver, Pace  # noqa: PLC0415 - as said above
        from questline_beam.embedded import EmbeddedRows  # noqa: PLC0415 - as said above
        from questline_beam.tracing import open_stream_tracer  # noqa: PLC0415 - as said above

        driver = Driver(
            broker=parts.broker,
            warehouse=parts.warehouse,
            rows=EmbeddedRows(title=settings.title),
            pace=Pace(batch=settings.stream_batch, lease_s=settings.stream_lease_s, wait_s=settings.stream_wait_s),
            forgotten=parts.forgotten,
            on_players=parts.note,
        )
        with ExitStack() as stack, announced(settings.paths.run, "stream", **asdict(driver.progress)) as ready:
            for follower in parts.followers:
                stack.enter_context(follower)
            driver.tracer = stack.enter_context(open_stream_tracer(settings.otlp_endpoint))
            driver.report = lambda facts: ready.update(**facts)
            if until_idle:
                driver.drain(stop)
                for follower in parts.followers:
                    follower.finish()
            else:
                log.info("stream ready", broker=settings.broker_url, warehouse=settings.warehouse_url)
                driver.run(stop)
                log.info("stream stopped", **asdict(driver.progress))
    return driver.progress
