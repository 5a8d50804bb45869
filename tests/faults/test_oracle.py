"""The oracle sees what it is there to see."""

from __future__ import annotations

from typing import Any

import pytest

from questline_core.events.rows import to_table
from questline_core.pb.telemetry_pb2 import Event
from questline_core.testing.oracle import Oracle

ORACLE = Oracle(seed=7, events=50)


def rows() -> list[dict[str, Any]]:
    events = [ORACLE.event(number) for number in range(50)]
    for event in events:
        event.title, event.received_time, event.event_date = "t", 1, "20270115"
    return to_table(Event, events).to_pylist()


def test_all_events_once_are_clean_in_any_order() -> None:
    assert ORACLE.judge(rows()[::-1]).clean


@pytest.mark.parametrize(
    ("kind", "spoil"),
    [
        ("missing", lambda found: found.pop()),
        ("doubled", lambda found: found.append(found[0])),
        ("invented", lambda found: found.append(found[0] | {"event_id": "oracle-7-50"})),
        ("invented", lambda found: found.append(found[0] | {"event_id": "oracle-8-1"})),
        ("corrupted", lambda found: found[3].update(event_bundle_sequence_id=found[3]["event_bundle_sequence_id"] + 1)),
        ("corrupted", lambda found: found[3].update(event_params=[])),
    ],
)
def test_one_wrong_row_is_not_clean(kind: str, spoil: Any) -> None:
    found = rows()
    spoil(found)

    judged = ORACLE.judge(found)

    assert not judged.clean
    assert getattr(judged, kind) == 1


def test_some_events_are_sent_again_and_none_is_left_out() -> None:
    oracle = Oracle(seed=7, events=2_000)
    sent = [event.event_id for event in oracle.sent()]

    assert len(sent) > len(set(sent)) == 2_000
