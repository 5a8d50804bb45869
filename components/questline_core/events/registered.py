"""Write the event contract as a schema registry takes it: one message, with nothing imported and nothing beside it."""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import indent

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from questline_core.pb.telemetry_pb2 import Event

_SCALARS = {
    FieldDescriptor.TYPE_BOOL: "bool",
    FieldDescriptor.TYPE_DOUBLE: "double",
    FieldDescriptor.TYPE_FLOAT: "float",
    FieldDescriptor.TYPE_INT32: "int32",
    FieldDescriptor.TYPE_INT64: "int64",
    FieldDescriptor.TYPE_STRING: "string",
}

_HEAD = """\
// Made by `questline events schema --format pubsub` from the .proto files: change those, then `make generate`.
syntax = "proto3";

"""


def registered_schema() -> str:
    """Write the class `Event` with all that it uses nested in it, as Pub/Sub's schemas want it.

    Names and numbers of fields are those of the contract, so what is serialized by one is read by the other. Options,
    which a registry has no use for, are left out.
    """
    return _HEAD + _message(Event.DESCRIPTOR, [_message(used, []) for used in _uses(Event.DESCRIPTOR)])


def _uses(message: Descriptor) -> Iterator[Descriptor]:
    """All messages that this one is made of, each once, in the order of their first use."""
    seen: dict[str, Descriptor] = {}
    waiting = [message]
    while waiting:
        found = [field.message_type for field in waiting.pop(0).fields if field.message_type]
        new = [used for used in found if used.full_name not in seen]
        seen.update({used.full_name: used for used in new})
        waiting += new
    yield from seen.values()


def _message(message: Descriptor, nested: list[str]) -> str:
    body = "\n".join([*nested, *(_field(field) for field in message.fields)])
    return f"message {message.name} {{\n{indent(body, '  ')}\n}}\n"


def _field(field: FieldDescriptor) -> str:
    kind = field.message_type.name if field.message_type else _SCALARS[field.type]
    label = "repeated " if field.is_repeated else "optional " if field.has_presence and not field.message_type else ""
    return f"{label}{kind} {field.name} = {field.number};"
