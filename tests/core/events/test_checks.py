"""What the event contract takes, what it rejects and what it says then."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from questline_core.events import checks
from questline_core.events.checks import MAX_EVENT_BYTES, MAX_TEXT_BYTES, all_fine, check, columns_of, complete
from questline_core.pb.telemetry_pb2 import Event, Item, Param, UserProperty

NOON = 1_700_000_000_000_000


def event(**fields: Any) -> Event:
    needed: dict[str, Any] = {
        "event_id": "e1",
        "event_timestamp": NOON,
        "event_name": "level_up",
        "user_pseudo_id": "p1",
    }
    return Event(**(needed | fields))


def without(field: str) -> Event:
    return Event(**{d.name: value for d, value in event().ListFields() if d.name != field})


def params(count: int) -> list[Param]:
    return [Param(key=f"k{n}") for n in range(count)]


def test_an_event_with_what_is_needed_keeps_the_contract() -> None:
    assert check(event()) is None


@pytest.mark.parametrize(
    "good",
    [
        event(event_id="x" * 128, event_name="y" * 128, user_pseudo_id="z" * 256, title="t" * 64),
        event(event_id="ключ 🎮", title="Игра"),
        event(event_id="no-break\u00a0space is text"),
        event(event_timestamp=checks.MIN_TIME_US),
        event(event_timestamp=checks.END_TIME_US - 1),
        event(client_time=checks.MIN_STORED_US),
        event(client_time=0),
        event(event_date="20240229"),
        event(event_date=""),
        event(event_params=params(256), user_properties=[UserProperty(key="k" * 128)] * 256, items=[Item()] * 256),
        event(event_params=[Param(key="ж" * 128)]),
        event(user_id="x" * MAX_TEXT_BYTES),
        event(event_params=[{"key": "ratio", "value": {"double_value": float("nan")}}]),
        event(event_params=[{"key": "ratio", "value": {"double_value": float("-inf")}}]),
        event(event_params=[{"key": "j", "value": {"string_value": "jj\n\x00j"}}]),
        event(items=[Item(item_params=params(256))]),
    ],
)
def test_what_lies_just_within_a_limit_is_taken(good: Event) -> None:
    assert check(good) is None


@pytest.mark.parametrize(
    ("bad", "reason", "field", "says"),
    [
        (without("event_id"), "missing", "event_id", "send a text of 1 to 128 characters"),
        (event(event_id=""), "missing", "event_id", "is missing"),
        (event(event_id="x" * 129), "too_long", "event_id", "has 129 characters; send at most 128"),
        (event(event_id="a\nb"), "malformed", "event_id", "control characters"),
        (event(event_id="a\x85b"), "malformed", "event_id", "control characters"),
        (event(title="t" * 65), "too_long", "title", "send at most 64"),
        (event(title="a\x00b"), "malformed", "title", "control characters"),
        (without("event_name"), "missing", "event_name", "send a text"),
        (event(event_name="x" * 129), "too_long", "event_name", "129"),
        (without("user_pseudo_id"), "missing", "user_pseudo_id", "send a text"),
        (event(user_pseudo_id="x" * 257), "too_long", "user_pseudo_id", "257"),
        (without("event_timestamp"), "missing", "event_timestamp", "send microseconds"),
        (event(event_timestamp=0), "out_of_range", "event_timestamp", "send microseconds"),
        (event(event_timestamp=checks.MIN_TIME_US - 1), "out_of_range", "event_timestamp", "send microseconds"),
        (event(event_timestamp=checks.END_TIME_US), "out_of_range", "event_timestamp", "send microseconds"),
        (event(event_timestamp=-(2**63)), "out_of_range", "event_timestamp", "send microseconds"),
        (event(event_timestamp=NOON // 10**6), "out_of_range", "event_timestamp", "multiply by 1000000"),
        (event(event_timestamp=NOON // 1000), "out_of_range", "event_timestamp", "multiply by 1000)"),
        (event(event_timestamp=NOON * 1000), "out_of_range", "event_timestamp", "divide by 1000"),
        (event(client_time=2**63 - 1), "out_of_range", "client_time", "send microseconds"),
        (event(event_date="20230229"), "malformed", "event_date", "'20230229' is no day; send one as YYYYMMDD"),
        (event(event_date="2023-02-28"), "malformed", "event_date", "is no day"),
        (event(event_date="2023022\uff18"), "malformed", "event_date", "is no day"),
        (event(event_params=params(257)), "too_many", "event_params", "has 257 entries; send at most 256"),
        (event(user_properties=[UserProperty(key="k")] * 257), "too_many", "user_properties", "257"),
        (event(items=[Item()] * 257), "too_many", "items", "257"),
        (event(items=[Item(), Item(item_params=params(257))]), "too_many", "items[1].item_params", "257"),
        (event(event_params=[*params(3), Param()]), "missing", "event_params[3].key", "give every entry"),
        (event(event_params=[Param(key="")]), "missing", "event_params[0].key", "is missing"),
        (event(event_params=[{"value": {"int_value": 1}}]), "missing", "event_params[0].key", "is missing"),
        (event(event_params=[Param(key="k" * 129)]), "too_long", "event_params[0].key", "129"),
        (event(user_properties=[UserProperty()]), "missing", "user_properties[0].key", "is missing"),
        (event(user_properties=[UserProperty(key="k" * 129)]), "too_long", "user_properties[0].key", "129"),
        (event(items=[Item(item_params=[Param()])]), "missing", "items[0].item_params[0].key", "is missing"),
        (event(user_id="x" * (MAX_TEXT_BYTES + 1)), "too_long", "user_id", "65537 bytes"),
        (event(geo={"city": "ж" * 40_000}), "too_long", "geo.city", "80000 bytes"),
        (
            event(event_params=[{"key": "k", "value": {"string_value": "x" * (MAX_TEXT_BYTES + 1)}}]),
            "too_long",
            "event_params[0].value.string_value",
            "send at most 65536",
        ),
        (event(user_id="x" * MAX_EVENT_BYTES), "too_large", "", "send at most 1048576 (1 MiB)"),
    ],
)
def test_a_broken_rule_is_named_with_its_field_and_what_to_do(bad: Event, reason: str, field: str, says: str) -> None:
    problem = check(bad)

    assert problem is not None
    assert (problem.reason, problem.field) == (reason, field)
    assert says in problem.message


KEYS = st.one_of(st.none(), st.sampled_from(["", "j", "k" * 127, "k" * 128, "k" * 129, "ж" * 64, "ж" * 128]), st.text())
SLOTS = st.one_of(
    st.none(),
    st.builds(lambda n: {"int_value": n}, st.integers(-(2**63), 2**63 - 1)),
    st.builds(lambda t: {"string_value": t}, st.text(st.sampled_from("j\n\x00\x01\x12é¢"), max_size=200)),
)


def utf8(text: str | None) -> bool:
    return text is None or not any("\ud800" <= char <= "\udfff" for char in text)


PARTS = st.lists(st.builds(lambda key, value: {"key": key, "value": value}, KEYS.filter(utf8), SLOTS), max_size=4)


@settings(deadline=None, max_examples=300)
@given(PARTS, PARTS)
def test_the_quick_look_at_keys_finds_what_the_thorough_one_finds(some: list[Any], others: list[Any]) -> None:
    made = event(event_params=some, user_properties=others)
    keys = [part["key"] for part in some + others]

    assert (check(made) is None) == all(key and len(key) <= 128 for key in keys)


def varint(number: int, *, longer: int) -> bytes:
    """Write a number with this many bytes more than it needs."""
    low, rest = number & 0x7F, number >> 7
    if rest or longer:
        return bytes([low | 0x80]) + varint(rest, longer=longer if rest else longer - 1)
    return bytes([low])


def field(number: int, content: bytes, longer: int) -> bytes:
    return varint(number << 3 | 2, longer=longer % 2) + varint(len(content), longer=longer // 2) + content


WIRE_KEYS = st.tuples(st.just(1), st.sampled_from([b"", b"k", b"j", b"k" * 129]))
WIRE_VALUES = st.tuples(st.just(2), st.sampled_from([b"", b"\n\x01j", b"\n\x00", b"\x10\x00"]))
LONGER = st.sampled_from([0] * 9 + [1, 2, 3])
WIRE_PARTS = st.lists(
    st.builds(lambda a, longer: field(a[0], a[1], longer), WIRE_KEYS | WIRE_VALUES, LONGER), max_size=3
)


@example(parts=[(13, [field(1, b"k", 0), field(1, b"k" * 129, 0)], 0)], needed_last=False)
@example(parts=[(20, [field(1, b"k", 0), field(1, b"", 0)], 0)], needed_last=False)
@example(parts=[(13, [field(2, b"", 0)], 1)], needed_last=False)
@example(parts=[(13, [], 0)], needed_last=True)
@settings(deadline=None, max_examples=500)
@given(parts=st.lists(st.tuples(st.sampled_from([13, 20]), WIRE_PARTS, LONGER), max_size=3), needed_last=st.booleans())
def test_the_quick_look_is_not_deceived_by_bytes_that_no_library_writes(
    parts: list[tuple[int, list[bytes], int]], needed_last: bool
) -> None:
    written = b"".join(field(number, b"".join(inside), longer) for number, inside, longer in parts)
    needed = event().SerializeToString()
    data = written + needed if needed_last else needed + written

    read = Event.FromString(data)

    assert check(read, data) == check(Event.FromString(data))


ODD = [
    {"event_id": ""},
    {"event_id": "a\nb"},
    {"event_name": "n" * 129},
    {"user_pseudo_id": ""},
    {"event_timestamp": 0},
    {"client_time": 2**63 - 1},
    {"title": "t" * 65},
    {"event_date": "20230229"},
    {"event_params": params(257)},
    {"event_params": [Param()]},
    {"event_params": [Param(key="k" * 129)]},
    {"user_properties": [UserProperty()]},
    {"items": [Item(item_params=[Param()])]},
    {"user_id": "x" * (MAX_TEXT_BYTES + 1)},
]
SOUND = [
    {},
    {"title": "Игра"},
    {"event_params": [Param(key="ж" * 128)]},
    {"items": [Item()]},
    {"event_date": "20240229"},
]


@settings(deadline=None, max_examples=100)
@given(st.lists(st.sampled_from(SOUND + ODD), min_size=1, max_size=8))
def test_of_many_at_once_no_broken_event_is_called_fine(chosen: list[dict[str, Any]]) -> None:
    events = [event(**fields) for fields in chosen]

    fine = all_fine(columns_of(events), events, [one.SerializeToString() for one in events])

    assert not (fine and any(check(one) for one in events))
    assert fine or any(check(one) or one.items for one in events)


@pytest.mark.parametrize("fields", ODD)
def test_one_broken_event_among_many_is_not_overlooked(fields: dict[str, Any]) -> None:
    events = [*(event(event_id=f"e{n}", event_params=params(3)) for n in range(50)), event(**fields), event()]

    assert not all_fine(columns_of(events), events, [one.SerializeToString() for one in events])


@pytest.mark.parametrize("empty", [{}, {"event_date": "", "title": "", "origin": ""}])
def test_the_server_fills_in_what_an_event_does_not_bring(empty: dict[str, str]) -> None:
    bare = event(event_timestamp=1_538_351_999_999_999, **empty)

    complete(bare, title="flood", received_time=NOON)

    assert (bare.title, bare.origin, bare.received_time, bare.event_date) == ("flood", "client", NOON, "20180930")


def test_the_server_leaves_what_an_event_brings_but_for_the_time_of_receipt() -> None:
    full = event(title="waves", origin="import", received_time=1, event_date="20180101")

    complete(full, title="flood", received_time=NOON)

    assert (full.title, full.origin, full.received_time, full.event_date) == ("waves", "import", NOON, "20180101")
