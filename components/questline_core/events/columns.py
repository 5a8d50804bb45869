"""Read the columns of a table from the protobuf message that is its contract."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import cast

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from questline_core.events.comments import comment
from questline_core.pb import telemetry_pb2 as pb


class Kind(StrEnum):
    """What one column holds; the values are BigQuery's names, as GA4's own export declares them."""

    STRING = "STRING"
    INTEGER = "INTEGER"
    FLOAT = "FLOAT"
    BOOLEAN = "BOOLEAN"
    BYTES = "BYTES"
    DATE = "DATE"
    TIMESTAMP = "TIMESTAMP"
    RECORD = "RECORD"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of a table, or one field of a column that is a record."""

    name: str
    kind: Kind
    required: bool
    """No row is without it."""
    repeated: bool
    nullable: bool
    """The message keeps "not given" apart from zero, so that a row may hold null."""
    description: str
    """The comment of the .proto file; empty when it has none."""
    fields: tuple[Column, ...] = ()
    """Fields of a RECORD."""


# uint64 and fixed64 are left out: half of their values fit no column.
_KINDS = {
    FieldDescriptor.TYPE_STRING: Kind.STRING,
    FieldDescriptor.TYPE_BYTES: Kind.BYTES,
    FieldDescriptor.TYPE_INT32: Kind.INTEGER,
    FieldDescriptor.TYPE_INT64: Kind.INTEGER,
    FieldDescriptor.TYPE_UINT32: Kind.INTEGER,
    FieldDescriptor.TYPE_FLOAT: Kind.FLOAT,
    FieldDescriptor.TYPE_DOUBLE: Kind.FLOAT,
    FieldDescriptor.TYPE_BOOL: Kind.BOOLEAN,
    FieldDescriptor.TYPE_MESSAGE: Kind.RECORD,
}
_STORED_AS = {pb.TIMESTAMP: (Kind.INTEGER, Kind.TIMESTAMP), pb.DATE: (Kind.STRING, Kind.DATE)}


def columns(message: type[Message]) -> tuple[Column, ...]:
    """List the columns of the table that holds messages of this class, in the order of the .proto file.

    Raises:
        TypeError: a field has a type that no column can hold; a mistake in the .proto file.
    """
    return columns_of(cast("Descriptor", message.DESCRIPTOR))


@cache
def columns_of(descriptor: Descriptor) -> tuple[Column, ...]:
    """List them by the description of the class; see `columns`."""
    return tuple(_column(field) for field in descriptor.fields)


def _column(field: FieldDescriptor) -> Column:
    kind = _kind(field)
    return Column(
        name=field.name,
        kind=kind,
        required=field.GetOptions().Extensions[pb.required],
        repeated=field.is_repeated,
        nullable=field.has_presence,
        description=comment(field),
        fields=columns_of(cast("Descriptor", field.message_type)) if kind is Kind.RECORD else (),
    )


def _kind(field: FieldDescriptor) -> Kind:
    by_type = _KINDS.get(field.type)
    wanted = field.GetOptions().Extensions[pb.column]
    if wanted == pb.BY_FIELD and by_type is not None:
        return by_type
    stored_from, stored_as = _STORED_AS.get(wanted, (None, None))
    if stored_as is None or stored_from is not by_type:
        raise TypeError(f"{field.full_name} has a type that no column can hold")
    return stored_as
