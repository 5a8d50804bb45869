"""Rejects are listed, replayed once, and come out as rows."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from questline_core.errors import BadInput
from questline_core.events.rows import to_table
from questline_core.events.schema import arrow_schema
from questline_core.pb.broker_pb2 import Reject as RejectMessage
from questline_core.pb.telemetry_pb2 import Event
from questline_core.rejects.fixes import Rule
from questline_core.rejects.replay import Mended, as_json, read_edited, replay, try_to_mend
from questline_core.rejects.store import Reject, RejectStore
from questline_core.testing.memory_broker import MemoryBroker
from questline_core.warehouse.port import REJECTS, Warehouse, open_warehouse

NAMELESS = Event(event_id="e1", user_pseudo_id="p", event_timestamp=1_800_000_000_000_000, title="quest")
NOWHERE: Any = dict.fromkeys(("message_id", "reason", "field", "message", "source", "event_id", "title"), "") | {
    "time_micros": 0,
    "is_test": False,
}
RENAME = [Rule(reason="missing", field="event_name", set={"event_name": "unknown"})]


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[Warehouse]:
    with closing(open_warehouse(f"duckdb:{tmp_path / 'warehouse'}")) as opened:
        opened.create(REJECTS, arrow_schema(RejectMessage))
        payload = NAMELESS.SerializeToString()
        for number, field in enumerate(("event_name", "event_params[3].key", "event_params[7].key"), 1):
            keep(
                opened, message_id=f"m{number}", payload=payload, reason="missing", field=field, time_micros=10 * number
            )
        keep(opened, message_id="m4", payload=b"\xff\xff", reason="malformed", field="", time_micros=40)
        yield opened


@pytest.fixture
def store(warehouse: Warehouse) -> RejectStore:
    return RejectStore(warehouse)


def keep(warehouse: Warehouse, **fields: Any) -> None:
    reject = RejectMessage(**fields, message=f"says {fields['message_id']}")
    warehouse.append(REJECTS, to_table(RejectMessage, [reject]), key="message_id")


def mended(store: RejectStore) -> list[Mended]:
    return list(try_to_mend(store.waiting(), RENAME, title="game"))


def test_rejects_are_grouped_by_reason_and_field_wherever_in_a_list_it_is(store: RejectStore) -> None:
    found = [(g.reason, g.field, g.count, g.first_micros, g.last_micros, g.example) for g in store.groups()]

    assert found == [
        ("missing", "event_params[*].key", 2, 20, 30, "m3"),
        ("malformed", "", 1, 40, 40, "m4"),
        ("missing", "event_name", 1, 10, 10, "m1"),
    ]


def test_what_is_mended_is_sent_as_the_gateway_would_and_what_is_not_stays(store: RejectStore) -> None:
    broker = MemoryBroker()

    assert asyncio.run(replay(mended(store), broker, store, how="fix file")) == 3

    sent = Event.FromString(broker.published[0].data)
    assert (sent.event_name, sent.title, sent.event_date, sent.received_time) == ("unknown", "quest", "20270115", 10)
    assert broker.published[0].attributes["kind"] == "event"
    assert broker.published[0].attributes["id"] == "e1"
    assert [reject.message_id for reject in store.waiting()] == ["m4"]
    assert [(g.reason, g.count, g.replayed) for g in store.groups()] == [
        ("missing", 2, 2),
        ("malformed", 1, 0),
        ("missing", 1, 1),
    ]


def test_a_second_replay_sends_nothing(store: RejectStore) -> None:
    broker = MemoryBroker()
    asyncio.run(replay(mended(store), broker, store, how="fix file"))

    assert asyncio.run(replay(mended(store), broker, store, how="fix file")) == 0
    assert len(broker.published) == 3


def test_what_could_not_be_published_is_not_marked(store: RejectStore) -> None:
    broker = MemoryBroker(failure=BadInput("full"))

    with pytest.raises(BadInput):
        asyncio.run(replay(mended(store), broker, store, how="fix file"))

    assert len(list(store.waiting())) == 4


@pytest.mark.parametrize(
    ("rules", "titles", "left"),
    [([], [], ["wrong_title"]), ([Rule(reason="wrong_title", drop=["title"])], ["puzzle"], [])],
)
def test_an_event_under_the_key_of_another_title_is_replayed_as_the_keys_own_or_not_at_all(
    warehouse: Warehouse, store: RejectStore, rules: list[Rule], titles: list[str], left: list[str]
) -> None:
    event = Event(
        event_id="e", event_name="n", user_pseudo_id="p", event_timestamp=1_800_000_000_000_000, title="quest"
    )
    keep(warehouse, message_id="m5", payload=event.SerializeToString(), reason="wrong_title", title="puzzle")
    broker, found = MemoryBroker(), list(try_to_mend(store.get(["m5"]), rules, title="game"))

    asyncio.run(replay(found, broker, store, how="fix file"))

    assert [Event.FromString(message.data).title for message in broker.published] == titles
    assert [one.problem.reason for one in found if one.problem] == left


def test_an_event_without_a_title_is_replayed_under_the_one_of_its_key(
    warehouse: Warehouse, store: RejectStore
) -> None:
    nameless = Event(event_id="e", user_pseudo_id="p", event_timestamp=1_800_000_000_000_000)
    keep(warehouse, message_id="m5", payload=nameless.SerializeToString(), reason="missing", title="puzzle")

    (found,) = try_to_mend(store.get(["m5"]), RENAME, title="game")

    assert (found.problem, found.event.title) == (None, "puzzle")


@pytest.mark.parametrize(("fields", "is_test"), [({"is_test": True}, True), ({"is_test": False}, None), ({}, None)])
def test_what_came_with_the_key_of_a_sandbox_is_replayed_as_a_test(
    warehouse: Warehouse, store: RejectStore, fields: dict[str, bool], is_test: bool | None
) -> None:
    keep(warehouse, message_id="m5", payload=NAMELESS.SerializeToString(), reason="missing", **fields)

    (found,) = try_to_mend(store.get(["m5"]), RENAME, title="game")

    assert (found.event.is_test if found.event.HasField("is_test") else None) is is_test


def test_rejects_of_a_table_that_an_earlier_version_made_are_found(tmp_path: Path) -> None:
    with closing(open_warehouse(f"duckdb:{tmp_path / 'old'}")) as old:
        columns = arrow_schema(RejectMessage)
        old.create(REJECTS, columns.remove(columns.get_field_index("is_test")))
        rows = to_table(RejectMessage, [RejectMessage(message_id="m1", reason="missing")])
        old.append(REJECTS, rows.drop_columns(["is_test"]), key="message_id")

        (found,) = RejectStore(old).waiting()

    assert (found.message_id, found.is_test) == ("m1", False)


def test_a_payload_survives_being_edited_and_an_unreadable_file_is_told(tmp_path: Path) -> None:
    event = Event(event_id="e", event_timestamp=9_007_199_254_740_993, event_bundle_sequence_id=-(2**63))
    event.event_params.add(key="k").value.double_value = 0.1
    path = tmp_path / "event.json"
    path.write_text(as_json(Reject(payload=event.SerializeToString(), **NOWHERE)))
    assert read_edited(path) == event

    path.write_text('{"event_nam": "x"}')
    with pytest.raises(BadInput, match="event_nam"):
        read_edited(path)


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        (b'{"event_id":"e","level":9007199254740993}', '{\n  "event_id": "e",\n  "level": 9007199254740993\n}'),
        (b"\xff\xff", ""),
        (b'"\\ud800"', ""),
        (b"[" * 100_000, ""),
    ],
)
def test_a_payload_that_came_as_json_can_be_edited_and_other_bytes_are_nothing(payload: bytes, text: str) -> None:
    assert as_json(Reject(payload=payload, **NOWHERE)) == text


def test_an_id_that_no_reject_has_is_told(store: RejectStore) -> None:
    with pytest.raises(BadInput, match="nobody"):
        store.get(["m1", "nobody"])


def test_without_any_table_there_is_nothing(tmp_path: Path) -> None:
    with closing(open_warehouse(f"duckdb:{tmp_path / 'fresh'}")) as fresh:
        assert RejectStore(fresh).groups() == []
