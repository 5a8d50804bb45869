"""What a gateway answered is observed: it comes through spool and stream, and is held against the events around it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import grpc

from questline_beam.driver import Driver, Pace
from questline_beam.embedded import EmbeddedRows
from questline_beam.tables import create_tables
from questline_core.broker.port import Broker
from questline_core.broker.spool import open_spool
from questline_core.features.refresh import refresh
from questline_core.features.store import open_writer
from questline_core.monitoring.answers import answers
from questline_core.monitoring.outcomes import PRIOR, outcomes
from questline_core.monitoring.skew import skew
from questline_core.pb.telemetry_pb2 import Event
from questline_core.testing.event_tables import DAY, MONDAY, an_event
from questline_core.warehouse.port import Warehouse, open_warehouse
from questline_ingest.pb import ingest_pb2 as pb
from questline_ingest.pb.ingest_pb2_grpc import IngestStub
from questline_ingest.settings import GatewaySettings
from questline_ingest.testing import ModelServer, serving

PLAYERS = [f"player-{number}" for number in range(20)]


class Loop:
    """One home: a gateway over a spool, and the stream behind it."""

    def __init__(self, home: Path, model: ModelServer) -> None:
        self.settings = GatewaySettings(
            home=home,
            listen="127.0.0.1:0",
            notice_s=0,
            spend_address=model.address,
            spend_timeout_s=30.0,
            served_share=1.0,
        )

    @contextmanager
    def warehouse(self) -> Iterator[Warehouse]:
        with closing(open_warehouse(self.settings.warehouse_url)) as opened:
            create_tables(opened)
            yield opened

    async def play(self, events: Sequence[Event], *, models: Sequence[pb.Model.ValueType] = ()) -> list[pb.Answer]:
        """Send events to a gateway, which ends then."""
        with closing(self._spool()) as spool:
            async with serving(self.settings, spool) as address, grpc.aio.insecure_channel(address) as channel:
                response = await IngestStub(channel).Send(pb.SendRequest(events=events, predict=models), timeout=60)
        assert {answer.outcome for answer in response.answers} == {pb.ACCEPTED}
        return list(response.answers)

    def drain(self, *, features: bool = True) -> None:
        """Make rows of all that waits, and bring the features that the gateway reads up to date."""
        pace = Pace(batch=1_000, lease_s=60.0, wait_s=0)
        with closing(self._spool()) as spool, self.warehouse() as warehouse:
            driver = Driver(broker=spool, warehouse=warehouse, rows=EmbeddedRows(title="quest"), pace=pace)
            while driver.one_batch():
                pass
            if features:
                with open_writer(self.settings.paths.features) as store:
                    refresh(warehouse, store, None)

    def _spool(self) -> Broker:
        return open_spool(self.settings.broker_url.removeprefix("spool:"), process="gateway-0")


def a_day(number: int, name: str = "session_start", **params: float) -> list[Event]:
    """One event of each player on a day."""
    return [an_event(player, MONDAY + number * DAY + n, name, **params) for n, player in enumerate(PLAYERS)]


async def test_served_inputs_are_the_examples_while_features_keep_up_and_skew_tells_when_they_do_not(
    tmp_path: Path,
) -> None:
    model = ModelServer()
    await model.start()
    loop = Loop(tmp_path / "home", model)
    await loop.play(a_day(0, "level_complete", level=7))
    loop.drain()
    await loop.play(a_day(1), models=[pb.SPEND])
    loop.drain(features=False)
    with loop.warehouse() as warehouse:
        fresh = skew(warehouse)

    await loop.play(a_day(2), models=[pb.SPEND])  # the features do not know of the second day
    loop.drain()
    await model.stop()
    with loop.warehouse() as warehouse:
        stale = {one.name: one for one in skew(warehouse).differing}

    assert (fresh.compared, fresh.unmatched, fresh.differing) == (len(PLAYERS), 0, [])
    assert (stale["events"].differs, stale["events"].served, stale["events"].expected) == (0.5, 1.0, 2.0)
    assert "level_max" not in stale


async def test_answers_are_judged_by_revision_when_their_day_is_over(tmp_path: Path) -> None:
    model = ModelServer()
    await model.start()
    loop = Loop(tmp_path / "home", model)
    answered = await loop.play(a_day(0), models=[pb.SPEND, pb.CHURN])  # player n is said to spend n, give or take 1
    await model.stop()
    hasty = loop.settings.model_copy(update={"spend_timeout_s": 0.3})
    loop.settings = hasty
    await loop.play(a_day(1), models=[pb.SPEND])
    spends = [
        an_event(player, MONDAY + DAY // 2 + n, "spend_virtual_currency", value=n + (n % 2) * 5)
        for n, player in enumerate(PLAYERS)
    ]
    await loop.play([*spends, *a_day(3)])
    loop.drain()

    with loop.warehouse() as warehouse:
        given = answers(warehouse, since_micros=0)
        now = MONDAY + 3 * DAY
        found = outcomes(warehouse, given, now_micros=now, model_store=loop.settings.model_store_url)
        churn = warehouse.query("SELECT source, value FROM telemetry.predictions WHERE model = 'churn'").to_pylist()

    first, prior = found.by_revision
    assert [answer.spend.value for answer in answered] == list(range(20))
    assert (first.revision, first.answers, first.spenders) == ("v1", 20, 19)  # player 0 spends 0, which is nothing
    assert (first.expected, first.actual) == (190.0, 190.0 + 10 * 5)
    assert math.isclose(first.coverage_of_spenders, 9 / 19)  # the odd ones spend 5 more
    assert (prior.revision, prior.answers, prior.spenders) == (PRIOR, 20, 0)
    assert churn == [{"source": "DEFAULT", "value": 0.5}] * len(PLAYERS)
