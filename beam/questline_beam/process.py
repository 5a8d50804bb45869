"""Put the stream process together and let it work."""

from __future__ import annotations

import threading
from contextlib import ExitStack, closing
from dataclasses import asdict
from functools import partial

from questline_beam.driver import Driver, Pace, Progress
from questline_beam.embedded import EmbeddedRows
from questline_beam.features import FollowedFeatures
from questline_beam.settings import StreamSettings
from questline_core.broker.port import open_broker
from questline_core.features.refresh import refresh
from questline_core.features.store import open_writer
from questline_core.processes import announced
from questline_core.warehouse.port import open_warehouse


def run_stream(settings: StreamSettings, stop: threading.Event, *, until_idle: bool) -> Progress:
    """Work until told to stop, or until nothing waits; return what was done.

    Raises:
        QuestlineError: broker, warehouse or features cannot be opened; or, until idle, a batch cannot be written.
    """
    with ExitStack() as opened:
        broker = opened.enter_context(closing(open_broker(settings.broker_url)))
        warehouse, readable = (opened.enter_context(closing(open_warehouse(settings.warehouse_url))) for _ in range(2))
        store = opened.enter_context(open_writer(settings.paths.features))
        driver = Driver(
            broker=broker,
            warehouse=warehouse,
            rows=EmbeddedRows(title=settings.title),
            pace=Pace(batch=settings.stream_batch, lease_s=settings.stream_lease_s, wait_s=settings.stream_wait_s),
        )
        driver.prepare()
        features = opened.enter_context(FollowedFeatures(partial(refresh, readable, store)))
        driver.on_players = features.note
        ready = opened.enter_context(announced(settings.paths.run, "stream", **asdict(driver.progress)))
        driver.report = lambda facts: ready.update(**facts)
        if until_idle:
            driver.drain(stop)
            features.finish()
        else:
            driver.run(stop)
    return driver.progress
