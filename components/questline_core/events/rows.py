"""Turn a batch of protobuf messages into an Arrow table, column by column and exactly.

Presence decides null: a field that was not given is null, one that was given as zero or "" is zero or "". No value
passes through another type: whole numbers stay whole from the wire to the table.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from itertools import accumulate, chain
from operator import attrgetter, methodcaller
from typing import Any, TypeAlias

import pyarrow as pa
from google.protobuf.message import Message

from questline_core.errors import BadInput
from questline_core.events.columns import Column, Kind, columns
from questline_core.events.days import day_number
from questline_core.events.schema import arrow_field, arrow_schema

Encode: TypeAlias = "Callable[[Sequence[Any]], pa.Array[Any]]"
"""Takes the messages that hold a column and gives the column."""


def to_table(message: type[Message], messages: Sequence[Message]) -> pa.Table:
    """Encode messages of one class as a table with the columns of `arrow_schema(message)`, in the order given.

    Raises:
        BadInput: a message lacks a required column, or a date in it is no date; names the event and the column.
            No row is returned then, so a caller checks events with `checks.check` before.
    """
    schema = arrow_schema(message)
    arrays = [encode(messages) for encode in _plan(columns(message))]
    for field, array in zip(schema, arrays, strict=True):
        if array.null_count and not field.nullable:
            raise _unusable(messages, array, field.name)
    return pa.Table.from_arrays(arrays, schema=schema)


def _unusable(messages: Sequence[Any], array: pa.Array[Any], column: str) -> BadInput:
    at = array.is_null().to_pylist().index(True)
    given = getattr(messages[at], column)
    problem = f"{column} is {given!r}, which is no date of the form YYYYMMDD" if given else f"{column} is missing"
    return BadInput(f"event {messages[at].event_id!r} (number {at} of this batch) cannot be stored: {problem}")


@cache
def _plan(table: tuple[Column, ...]) -> tuple[Encode, ...]:
    return tuple(_encoder(column) for column in table)


def _encoder(column: Column) -> Encode:
    if column.repeated:
        return _list_encoder(column)
    return _struct_encoder(column) if column.kind is Kind.RECORD else _scalar_encoder(column)


def _scalar_encoder(column: Column) -> Encode:
    kind = arrow_field(column).type
    build, get = _builder(column.kind, kind), attrgetter(column.name)
    read = _optional_reader(column.name) if column.nullable else None

    def encode(messages: Sequence[Any]) -> pa.Array[Any]:
        values = read(messages) if read else list(map(get, messages))
        return pa.nulls(len(messages), kind) if values is None else build(values)

    return encode


def _optional_reader(name: str) -> Callable[[Sequence[Any]], list[Any] | None]:
    """Read a field that keeps presence, None where it was not given; None alone when no message gives it.

    Asking for presence costs twice as much as reading, so it is asked first only where the field is probably not there.
    """
    get, has = attrgetter(name), methodcaller("HasField", name)

    def read(messages: Sequence[Any]) -> list[Any] | None:
        if messages and has(messages[0]):
            values = list(map(get, messages))
            if all(values):
                return values
            return [v or (v if has(m) else None) for v, m in zip(values, messages, strict=True)]
        given = list(map(has, messages))
        if not any(given):
            return None
        return [get(m) if there else None for m, there in zip(messages, given, strict=True)]

    return read


def _builder(kind: Kind, stored: pa.DataType) -> Callable[[list[Any]], pa.Array[Any]]:
    """Make an array of what protobuf holds; timestamps and dates are whole numbers that are only looked at anew."""
    if kind is Kind.TIMESTAMP:
        return lambda values: pa.array(values, pa.int64()).view(stored)
    if kind is Kind.DATE:
        return lambda values: pa.array([day_number(v) if v else None for v in values], pa.int32()).view(stored)
    return lambda values: pa.array(values, stored)


def _struct_encoder(column: Column) -> Encode:
    record, kind = _record_encoder(column), arrow_field(column).type
    get, has = attrgetter(column.name), methodcaller("HasField", column.name)

    def encode(messages: Sequence[Any]) -> pa.Array[Any]:
        given = list(map(has, messages))
        if not any(given):
            nulls: pa.Array[Any] = pa.nulls(len(messages), kind)
            return nulls
        # A record that was not given reads as an empty one, whose fields are all null: rows stay side by side.
        mask = None if all(given) else pa.array([not there for there in given])
        return record(list(map(get, messages)), mask)

    return encode


def _record_encoder(column: Column) -> Callable[[Sequence[Any], pa.Array[Any] | None], pa.Array[Any]]:
    encoders = [_encoder(part) for part in column.fields]
    fields = [arrow_field(part) for part in column.fields]

    def encode(records: Sequence[Any], mask: pa.Array[Any] | None) -> pa.Array[Any]:
        return pa.StructArray.from_arrays([part(records) for part in encoders], fields=fields, mask=mask)

    return encode


def _list_encoder(column: Column) -> Encode:
    kind, get = arrow_field(column).type, attrgetter(column.name)
    record = _record_encoder(column) if column.kind is Kind.RECORD else None

    def encode(messages: Sequence[Any]) -> pa.Array[Any]:
        lists = list(map(get, messages))
        offsets = pa.array(accumulate(map(len, lists), initial=0), pa.int32())
        parts = list(chain.from_iterable(lists))
        values = record(parts, None) if record else pa.array(parts, kind.value_type)
        return pa.ListArray.from_arrays(offsets, values, type=kind)

    return encode
