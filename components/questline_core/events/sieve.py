"""Look at whole columns of events at once: which surely keep the contract, and what the server adds to them.

An event that is not surely right is left to `checks.check`, which knows every rule and says which one is broken.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

import pyarrow as pa
import pyarrow.compute

from questline_core.events import checks
from questline_core.events.rows import days

pc: Any = pyarrow.compute  # the stubs know fewer types than the functions take

_TRUE, _FALSE = pa.scalar(True), pa.scalar(False)  # noqa: FBT003 - what a scalar holds

LATE_US = 72 * 3_600_000_000
"""An event that comes later than this still goes into its own day, and is counted."""


def doubtful(events: pa.Table, sizes: Sequence[int]) -> list[int]:
    """Find the events that may break a rule of the contract.

    Args:
        events: as `wire.read` gives them.
        sizes: bytes of each serialized event.

    Returns:
        Row numbers, ascending. An event that is not among them keeps the contract.
    """
    fine = [
        _text(events, "event_id", checks.MAX_ID, printable=True),
        _text(events, "event_name", checks.MAX_NAME),
        _text(events, "user_pseudo_id", checks.MAX_PLAYER),
        _text(events, "title", checks.MAX_TITLE, printable=True, required=False),
        _between(events["event_timestamp"], checks.MIN_TIME_US, checks.END_TIME_US),
        pc.fill_null(_between(_micros(events["client_time"]), checks.MIN_STORED_US, checks.END_STORED_US), _TRUE),
        pc.or_(_empty(events["event_date"]), days(events["event_date"]).is_valid()),
        pc.less_equal(pa.array(sizes, pa.int64()), checks.MAX_TEXT_BYTES),
        pc.equal(pc.list_value_length(events["items"]), 0),
        _keys(events["event_params"]),
        _keys(events["user_properties"]),
    ]
    wrong = pc.invert(pc.fill_null(reduce(pc.and_, fine), _FALSE))
    return pc.indices_nonzero(wrong).to_pylist()  # type: ignore[no-any-return]


def completed(events: pa.Table, *, title: str, now_us: int | None) -> pa.Table:
    """Fill in what the server knows, as `checks.complete` does, for events that did not come through the gateway.

    Args:
        events: as `wire.read` gives them; all keep the contract.
        title: for events that bring none.
        now_us: when events came that do not say so, in microseconds since 1970-01-01 UTC; None: at their own time.
    """
    arrived, day = events["received_time"], events["event_date"]
    untimed = pc.equal(pc.fill_null(_micros(arrived), 0), 0)
    bare = pc.or_(pc.or_(untimed, _empty(events["title"])), _empty(day))
    if not pc.any(bare).as_py():
        return events
    own = _micros(events["event_timestamp"]).cast(arrived.type)
    now = own if now_us is None else pa.scalar(now_us, pa.int64()).cast(arrived.type)
    utc_day = pc.strftime(own, format="%Y%m%d")
    return _with(
        events,
        received_time=pc.if_else(untimed, now, arrived),
        title=pc.if_else(_empty(events["title"]), title, events["title"]),
        origin=pc.if_else(pc.and_(bare, _empty(events["origin"])), checks.ORIGIN_CLIENT, events["origin"]),
        event_date=pc.if_else(_empty(day), utc_day, day),
    )


def first_of_each(ids: pa.ChunkedArray[Any]) -> list[int] | None:
    """Find the rows that hold a value for the first time, ascending; None when all do."""
    if pc.count_distinct(ids).as_py() == len(ids):
        return None
    numbered = pa.table({"id": ids, "row": pa.array(range(len(ids)), pa.int64())})
    first = numbered.group_by("id", use_threads=False).aggregate([("row", "min")])
    rows: list[int] = first["row_min"].to_pylist()  # type: ignore[assignment]
    return sorted(rows)


def ahead(rows: pa.Table) -> int:
    """Count rows of events whose time lies more than 23 hours ahead of their arrival."""
    return _count(rows["clock_ahead"])


def late(events: pa.Table) -> int:
    """Count events of clients that came more than 72 hours after their time; an import is history, and not late."""
    of_client = pc.equal(events["origin"], checks.ORIGIN_CLIENT)
    delay_us = pc.subtract(_micros(events["received_time"]), events["event_timestamp"])
    return _count(pc.and_(of_client, pc.greater(delay_us, LATE_US)))


def _count(flags: pa.ChunkedArray[Any]) -> int:
    return int(pc.sum(flags).as_py() or 0)


def _micros(times: pa.ChunkedArray[Any]) -> Any:
    return times.cast(pa.int64())


def _empty(texts: pa.ChunkedArray[Any]) -> Any:
    return pc.equal(pc.fill_null(texts, ""), "")


def _text(events: pa.Table, column: str, most: int, *, printable: bool = False, required: bool = True) -> Any:
    texts = pc.fill_null(events[column], "")
    length = pc.utf8_length(texts)
    fine = pc.less_equal(length, most)
    if required:
        fine = pc.and_(fine, pc.greater(length, 0))
    return pc.and_(fine, pc.utf8_is_printable(texts)) if printable else fine


def _between(numbers: Any, first: int, end: int) -> Any:
    return pc.and_(pc.greater_equal(numbers, first), pc.less(numbers, end))


def _keys(parts: pa.ChunkedArray[Any]) -> Any:
    """Tell which rows have few enough parts, each with a key of the right length."""
    lists: Any = parts.combine_chunks()
    lengths = pc.utf8_length(pc.fill_null(pc.struct_field(lists.flatten(), "key"), ""))
    few = pc.less_equal(pc.list_value_length(lists), checks.MAX_PARTS)
    wrong = pc.invert(_between(lengths, 1, checks.MAX_KEY + 1))
    if not pc.any(wrong).as_py():
        return few
    rows = pc.filter(pc.list_parent_indices(lists), wrong)
    return pc.and_(few, pc.invert(pc.is_in(pa.array(range(len(lists)), pa.int64()), value_set=rows)))


def _with(table: pa.Table, **changed: Any) -> pa.Table:
    for name, column in changed.items():
        table = table.set_column(table.schema.get_field_index(name), table.schema.field(name), column)
    return table
