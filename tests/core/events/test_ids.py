"""Events without an id get one that an import of the same data gives again."""

from __future__ import annotations

from questline_core.events.ids import ContentIds
from questline_core.pb.telemetry_pb2 import Event


def ids(*names: str) -> list[str]:
    giver, made = ContentIds(), []
    for name in names:
        event = Event(event_name=name, event_timestamp=5)
        giver.give(event)
        made.append(event.event_id)
    return made


def test_the_same_events_get_the_same_ids_again() -> None:
    assert ids("a", "b", "a") == ids("a", "b", "a")


def test_equal_events_stay_apart() -> None:
    assert len(set(ids("a", "a", "b", "a"))) == 4


def test_the_id_of_an_event_does_not_depend_on_what_stands_between() -> None:
    assert ids("a", "b", "c", "a")[3] == ids("a", "a")[1]


def test_an_id_is_within_the_contract() -> None:
    (made,) = ids("a")

    assert len(made) == 32
    assert made.isalnum()


def test_an_id_given_before_does_not_change_the_next() -> None:
    event = Event(event_name="a", event_timestamp=5, event_id="old")
    ContentIds().give(event)

    assert [event.event_id] == ids("a")
