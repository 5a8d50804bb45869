"""Read serialized protobuf messages straight into Arrow columns; no message is made on the way.

Most of a full event says what many others say: the same device, the same player's properties. So the records of an
event are read as the bytes that they are at first, and only those that differ are decoded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol, cast

import pyarrow as pa
import pyarrow.compute
from google.protobuf.descriptor import Descriptor
from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError, Message
from ptars import HandlerPool, PtarsConfig

from questline_core.events.columns import Column, Kind, columns_of
from questline_core.events.schema import arrow_field

pc: Any = pyarrow.compute  # the stubs know fewer types than the functions take


class Handler(Protocol):
    """What ptars makes of a descriptor."""

    def array_to_record_batch(self, payloads: pa.Array[Any]) -> pa.RecordBatch:
        """Decode serialized messages."""


def read(message: type[Message], payloads: Sequence[bytes]) -> pa.Table:
    """Read serialized messages of one class, in the order given.

    Returns:
        A table with the columns of `arrow_schema(message)`, but a day is still text, and any column may be null: a
        field that was not given is null, one that was given as zero or "" is zero or "".

    Raises:
        DecodeError: a payload is no such message; none is returned then.
    """
    reader = _reader(cast("Descriptor", message.DESCRIPTOR))
    try:
        batch = reader.shallow.array_to_record_batch(pa.array(payloads, pa.binary()))
        arrays = [_column(array, part) for array, part in zip(batch.columns, reader.parts, strict=True)]
    except ValueError as error:
        raise DecodeError(str(error)) from None
    return pa.Table.from_arrays(arrays, schema=reader.schema)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """How one column is read."""

    type: Any
    repeated: bool
    record: Handler | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reader:
    shallow: Handler
    parts: Sequence[_Part]
    schema: pa.Schema


@cache
def _reader(descriptor: Descriptor) -> _Reader:
    config = PtarsConfig(list_value_nullable=True)
    whole = HandlerPool([descriptor.file], config=config)
    flat = _with_records_as_bytes(descriptor)
    records = {field.name: field.message_type for field in descriptor.fields if field.message_type is not None}
    table = columns_of(descriptor)
    schema = pa.schema([_as_read(column) for column in table])
    parts = [
        _Part(
            type=field.type,
            repeated=column.repeated,
            record=whole.get_for_message(records[column.name]) if column.name in records else None,
        )
        for column, field in zip(table, schema, strict=True)
    ]
    return _Reader(shallow=HandlerPool([flat.file], config=config).get_for_message(flat), parts=parts, schema=schema)


def _as_read(column: Column) -> pa.Field[Any]:
    kind = pa.string() if column.kind is Kind.DATE else arrow_field(column).type
    return pa.field(column.name, kind)


def _with_records_as_bytes(descriptor: Descriptor) -> Descriptor:
    """Describe the same wire format with every record as bytes, any number of times.

    Any number, because protobuf takes a record that comes in two pieces for the sum of both.
    """
    given = DescriptorProto()
    descriptor.CopyToProto(given)
    flat = DescriptorProto(name=given.name)
    for field in given.field:
        new = flat.field.add(name=field.name, number=field.number, type=field.type, label=field.label)
        if field.type == FieldDescriptorProto.TYPE_MESSAGE:
            new.type, new.label = FieldDescriptorProto.TYPE_BYTES, FieldDescriptorProto.LABEL_REPEATED
        elif field.proto3_optional:
            new.proto3_optional, new.oneof_index = True, len(flat.oneof_decl)
            flat.oneof_decl.add(name=f"_{field.name}")
    pool = DescriptorPool()
    pool.Add(FileDescriptorProto(name="flat.proto", package="flat", syntax="proto3", message_type=[flat]))
    return pool.FindMessageTypeByName(f"flat.{flat.name}")


def _column(array: pa.Array[Any], part: _Part) -> Any:
    if part.record is None:
        return array.cast(part.type)
    lists = cast("pa.ListArray[Any]", array)
    if part.repeated:
        records = _records(lists.values, part.record, cast("pa.ListType[Any]", part.type).value_type)
        return pa.ListArray.from_arrays(lists.offsets, records, type=part.type)
    if not len(lists.values):
        return pa.nulls(len(lists), part.type)
    return _records(_one_each(lists), part.record, part.type)


def _one_each(lists: pa.ListArray[Any]) -> Any:
    """Give the bytes of one record a row, null where there is none."""
    lengths = pc.list_value_length(lists)
    if pc.min_max(lengths).as_py() == {"min": 1, "max": 1}:
        return lists.values
    return pc.if_else(pc.equal(lengths, 0), None, pc.binary_join(lists, pa.scalar(b"", pa.binary())))


def _records(serialized: pa.Array[Any], handler: Handler, kind: Any) -> Any:
    if not len(serialized):
        return pa.nulls(0, kind)
    coded = serialized.dictionary_encode()
    distinct = handler.array_to_record_batch(coded.dictionary)
    return distinct.to_struct_array().cast(kind).take(coded.indices)
