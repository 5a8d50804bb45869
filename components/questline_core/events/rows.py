"""Turn a batch of protobuf messages into an Arrow table, column by column and exactly.

Presence decides null: a field that was not given is null, one that was given as zero or "" is zero or "". No value
passes through another type: whole numbers stay whole from the wire to the table.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute
from google.protobuf.message import Message

from questline_core.errors import BadInput
from questline_core.events.days import day_number
from questline_core.events.schema import arrow_schema
from questline_core.events.wire import read
from questline_core.pb.telemetry_pb2 import Event

pc: Any = pyarrow.compute  # the stubs know fewer types than the functions take

AHEAD_US = 23 * 3_600_000_000
"""An event that is further ahead of its arrival has a wrong clock: it is kept, and its row says so."""


def to_table(message: type[Message], messages: Sequence[Message]) -> pa.Table:
    """Encode messages of one class as a table with the columns of `arrow_schema(message)`, in the order given.

    Raises:
        BadInput: a message lacks a required column, or a date in it is no date; names the event and the column.
            No row is returned then, so a caller checks events with `checks.check` before.
    """
    return to_rows(message, read(message, [given.SerializeToString() for given in messages]))


def to_rows(message: type[Message], given: pa.Table) -> pa.Table:
    """Give what `wire.read` read the types that are stored, and events the column that says whether they are ahead.

    Raises:
        BadInput: as `to_table`.
    """
    schema = arrow_schema(message)
    arrays = [_stored(column, field.type) for column, field in zip(given.columns, schema, strict=True)]
    for field, array in zip(schema, arrays, strict=True):
        if array.null_count and not field.nullable:
            raise _unusable(given, array, field.name)
    rows = pa.Table.from_arrays(arrays, schema=schema)
    return _with_clock_ahead(rows) if message is Event else rows


def days(texts: pa.ChunkedArray[Any]) -> pa.ChunkedArray[Any]:
    """Read days of the form YYYYMMDD; null where there is none, or another text."""
    coded = texts.combine_chunks().dictionary_encode()
    numbers = [day_number(text) if text else None for text in coded.dictionary.to_pylist()]
    return pa.chunked_array([pa.array(numbers, pa.int32()).view(pa.date32()).take(coded.indices)])


def _with_clock_ahead(rows: pa.Table) -> pa.Table:
    ahead = pc.greater(rows["event_timestamp"], pc.add(rows["received_time"].cast(pa.int64()), AHEAD_US))
    return rows.set_column(rows.schema.get_field_index("clock_ahead"), rows.schema.field("clock_ahead"), ahead)


def _stored(column: pa.ChunkedArray[Any], kind: pa.DataType) -> pa.ChunkedArray[Any]:
    return days(column) if pa.types.is_date(kind) and column.type == pa.string() else column


def _unusable(given: pa.Table, stored: pa.ChunkedArray[Any], column: str) -> BadInput:
    at = stored.is_null().to_pylist().index(True)
    value, event_id = given[column][at].as_py(), given["event_id"][at].as_py()
    problem = f"{column} is {value!r}, which is no date of the form YYYYMMDD" if value else f"{column} is missing"
    return BadInput(f"event {event_id!r} (number {at} of this batch) cannot be stored: {problem}")
