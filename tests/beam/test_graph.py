"""The streaming graph on Prism, a real portable runner, into a real warehouse and a real topic."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.prism_runner import PrismRunner
from apache_beam.testing import test_stream

from questline_beam.graph import Stream
from questline_beam.process import run_stream
from questline_beam.settings import StreamSettings
from questline_beam.tables import create_tables
from questline_beam.transforms.forget import KeepOthers
from questline_core.broker.port import Message
from questline_core.broker.spool import open_spool
from questline_core.events.sessions import SESSIONS, refresh_sessions
from questline_core.pb.broker_pb2 import Reject
from questline_core.pb.telemetry_pb2 import Event
from questline_core.privacy.forgotten import Forgotten
from questline_core.privacy.key import open_key
from questline_core.settings import PlatformSettings
from questline_core.warehouse.port import EVENTS, Warehouse, open_warehouse

PRISM = shutil.which("prism")
NAMES = Path(__file__).with_name("transform_names.json")
MINUTE_US = 60_000_000
T0 = 1_700_000_000_000_000

needs_prism = pytest.mark.skipif(PRISM is None, reason="Beam's portable runner `prism` is not on PATH")


class Telemetry(Protocol):
    def message(self, name: str, **fields: object) -> Message: ...
    def reject(self, payload: bytes, reason: str = "missing") -> Message: ...
    def garbage(self, data: bytes = b"") -> Message: ...


class Job:
    """One home, and the graph that writes into it."""

    def __init__(self, home: Path) -> None:
        self.settings = PlatformSettings(home=home, title="untitled")
        self.dead_letters = f"spool:{home / 'dead-letters'}"
        with closing(self.warehouse()) as warehouse:
            create_tables(warehouse)

    def warehouse(self) -> Warehouse:
        return open_warehouse(self.settings.warehouse_url)

    def run(self, messages: Sequence[Message] | test_stream.TestStream) -> dict[str, int]:
        """Run to the end of the input, and give the counters."""
        source = messages if isinstance(messages, test_stream.TestStream) else beam.Create(messages)
        options = [f"--prism_location={PRISM}", "--environment_type=LOOPBACK", "--prism_log_level=error"]
        pipeline = beam.Pipeline(runner=PrismRunner(), options=PipelineOptions(options))
        # The typed step: Prism's server dies of a TestStream that leads straight into a step with state.
        given = pipeline | "Source" >> source | "Take" >> beam.Map(lambda message: message).with_output_types(Message)
        given | "Stream" >> Stream(self.settings, dead_letters=self.dead_letters)
        result = pipeline.run()
        result.wait_until_finish()
        counters = result.metrics().query()["counters"]
        return {f"{found.key.metric.namespace}/{found.key.metric.name}": found.committed for found in counters}

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with closing(self.warehouse()) as warehouse:
            return [tuple(row.values()) for row in warehouse.query(sql).to_pylist()]

    def dead(self) -> list[Reject]:
        with closing(open_spool(self.dead_letters.removeprefix("spool:"))) as spool:
            return [Reject.FromString(d.message.data) for d in spool.pull(max_messages=100, lease_s=1)]


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(tmp_path / "home")


def at(minutes: float, *, arrived: float | None = None) -> dict[str, int]:
    """Fields of an event that happened, and came, so many minutes after T0."""
    came = minutes if arrived is None else arrived
    return {"event_timestamp": T0 + int(minutes * MINUTE_US), "received_time": T0 + int(came * MINUTE_US)}


@needs_prism
def test_late_double_early_and_poisoned_events_end_where_they_belong(job: Job, telemetry: Telemetry) -> None:
    stream = (
        test_stream.TestStream()
        .advance_watermark_to(T0 / 1e6)
        .add_elements([telemetry.message("b", **at(1)), telemetry.garbage(b"\xff\x00")])
        .add_elements([telemetry.message("a", **at(0, arrived=1))])
        .advance_watermark_to(T0 / 1e6 + 7_200)
        .add_elements([telemetry.message("a", **at(0, arrived=120)), telemetry.message("bad", event_name=None)])
        .add_elements([telemetry.message("old", event_date="20231111", **at(-4_400, arrived=121))])
        .add_elements([telemetry.message("early", event_date="20231116", **at(2_000, arrived=122))])
        .advance_watermark_to_infinity()
    )

    counters = job.run(stream)

    assert job.rows("SELECT event_id, CAST(event_date AS STRING) FROM telemetry.events ORDER BY event_id") == [
        ("a", "2023-11-14"),
        ("b", "2023-11-14"),
        ("early", "2023-11-16"),
        ("old", "2023-11-11"),
    ]
    assert job.rows("SELECT reason, payload FROM telemetry.rejects WHERE reason = 'malformed'") == [
        ("malformed", b"\xff\x00")
    ]
    assert sorted((dead.reason, dead.field) for dead in job.dead()) == [("malformed", ""), ("missing", "event_name")]
    counted = ("rows", "duplicates", "late", "ahead", "forgotten")
    assert [counters[f"telemetry.events/{name}"] for name in counted] == [4, 1, 1, 1, 0]


@needs_prism
def test_thirty_quiet_minutes_part_two_sessions_whatever_the_order_of_arrival(job: Job, telemetry: Telemetry) -> None:
    minutes = {"ann": [0, 10, 39, 70, 71], "bob": [5]}
    events = [
        telemetry.message(f"{player}{minute}", user_pseudo_id=player, platform="IOS", **at(minute))
        for player, times in minutes.items()
        for minute in times
    ]
    offline = telemetry.message("ann-offline", user_pseudo_id="ann", **at(20, arrived=60))

    job.run([*reversed(events), offline])

    sessions = job.rows(
        "SELECT user_pseudo_id, UNIX_SECONDS(started), UNIX_SECONDS(ended), events, platform"
        " FROM telemetry.sessions ORDER BY 1, 2"
    )
    second = T0 // 1_000_000
    assert sessions == [
        ("ann", second, second + 39 * 60, 4, "IOS"),
        ("ann", second + 70 * 60, second + 71 * 60, 2, "IOS"),
        ("bob", second + 300, second + 300, 1, "IOS"),
    ]


@needs_prism
def test_the_same_messages_give_the_same_rows_as_the_embedded_stream(
    job: Job, telemetry: Telemetry, stream: Any
) -> None:
    sent = [(f"p{i % 7}", i % 250, 0.0) for i in range(300)]  # player, minute, and how late it came
    sent += [("p1", 300, 0), ("p1", 290, 50), ("p1", 305, 71 * 60), ("p2", 400, 80 * 60), ("p3", 9_000, -8_000)]
    messages = [
        telemetry.message(
            f"{player}-{minute}", user_pseudo_id=player, platform="IOS", **at(minute, arrived=minute + late)
        )
        for player, minute, late in sent
    ]
    messages += [telemetry.garbage(), telemetry.reject(b"x"), telemetry.message("bad", event_name=None)]
    stream.publish(*messages)
    run_stream(StreamSettings(home=stream.home, title="untitled"), threading.Event(), until_idle=True)

    job.run(messages)

    for sql in (
        "SELECT * FROM telemetry.events ORDER BY event_id",
        "SELECT payload, reason, field, source, event_id, title FROM telemetry.rejects ORDER BY reason, payload",
        "SELECT * FROM telemetry.sessions ORDER BY session_key",
    ):
        rows = job.rows(sql)
        assert rows
        assert rows == [tuple(row.values()) for row in stream.table(sql)]


@needs_prism
def test_a_late_event_of_a_session_that_is_over_is_a_session_of_its_own(job: Job, telemetry: Telemetry) -> None:
    job.run(
        [
            telemetry.message("late", **at(5, arrived=90)),
            telemetry.message("a", **at(0)),
            telemetry.message("b", **at(9)),
        ]
    )

    sessions = job.rows("SELECT UNIX_MICROS(started), events FROM telemetry.sessions ORDER BY 1")
    assert sessions == [(T0, 2), (T0 + 5 * MINUTE_US, 1)]


@needs_prism
def test_nothing_of_a_forgotten_player_stays_in_a_table(job: Job, telemetry: Telemetry) -> None:
    with closing(job.warehouse()) as warehouse:
        Forgotten(warehouse, open_key(job.settings)).add("gone")
    broken = Event(event_id="x", user_pseudo_id="gone").SerializeToString()

    job.run(
        [
            telemetry.message("a", user_pseudo_id="gone"),
            telemetry.message("b", user_pseudo_id="stays"),
            telemetry.reject(broken),
            telemetry.reject(b"x"),
        ]
    )

    assert job.rows("SELECT user_pseudo_id FROM telemetry.events") == [("stays",)]
    assert job.rows("SELECT user_pseudo_id FROM telemetry.sessions") == [("stays",)]
    assert job.rows("SELECT payload FROM telemetry.rejects") == [(b"x",)]


@pytest.mark.parametrize("table", [EVENTS, SESSIONS])
def test_rows_that_were_on_their_way_when_their_player_was_forgotten_are_erased(
    stream: Any, telemetry: Telemetry, table: str
) -> None:
    settings = StreamSettings(home=stream.home)
    stream.publish(telemetry.message("a", user_pseudo_id="gone"), telemetry.message("b", user_pseudo_id="stays"))
    stream.driver().drain(threading.Event())
    forgotten = Forgotten(stream.warehouse, open_key(settings))
    refresh_sessions(stream.warehouse, None, forgotten=forgotten)
    rows = stream.warehouse.query(f"SELECT * FROM {table}")  # noqa: S608 - our own names
    keep = KeepOthers(settings, table, stored=True)
    keep.setup()
    forgotten.add("gone")

    (others,) = keep.process(rows)

    keep.teardown()
    assert others["user_pseudo_id"].to_pylist() == ["stays"]
    assert stream.table(f"SELECT user_pseudo_id FROM {table}") == [{"user_pseudo_id": "stays"}]  # noqa: S608 - likewise


def labels(pipeline: beam.Pipeline) -> Iterator[str]:
    proto = pipeline.to_runner_api()
    for transform in proto.components.transforms.values():
        yield transform.unique_name


def test_the_names_of_the_steps_stay_so_that_a_running_job_can_be_updated(tmp_path: Path) -> None:
    pipeline = beam.Pipeline(options=PipelineOptions([]))
    settings = PlatformSettings(home=tmp_path)
    given = pipeline | "Messages" >> beam.Create([]).with_output_types(Message)
    given | "Stream" >> Stream(settings, dead_letters="spool:x")

    names = sorted(name for name in labels(pipeline) if name.startswith("Stream"))

    assert names == json.loads(NAMES.read_text())
