"""Games that are installed keep working: what a .proto file of the public contract promised stays as it was.

`contract.txt` holds every promise as one line. Lines are added to it, and never changed or taken away.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor, FileDescriptor
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool

from questline_core.pb import broker_pb2, telemetry_pb2
from questline_ingest.pb import ingest_pb2, open_inference_pb2

CONTRACT = Path(__file__).with_name("contract.txt")
FILES = (telemetry_pb2, broker_pb2, ingest_pb2, open_inference_pb2)


def promises(file: FileDescriptor) -> Iterator[str]:
    """Say each thing that a client of another build relies on, in one line."""
    for message in file.message_types_by_name.values():
        yield from of_message(message)
    for enum in file.enum_types_by_name.values():
        yield from of_enum(enum)
    for service in file.services_by_name.values():
        for rpc in service.methods:
            streams = [" stream" if streamed else "" for streamed in (rpc.client_streaming, rpc.server_streaming)]
            yield (
                f"rpc /{service.full_name}/{rpc.name}{streams[0]} {rpc.input_type.full_name}"
                f" ->{streams[1]} {rpc.output_type.full_name}"
            )


def of_message(message: Descriptor) -> Iterator[str]:
    for field in message.fields:
        yield f"field {message.full_name} {field.number} {field.name}: {kind_of(field)}"
    for enum in message.enum_types:
        yield from of_enum(enum)
    for nested in message.nested_types:
        yield from of_message(nested)


def of_enum(enum: EnumDescriptor) -> Iterator[str]:
    for value in enum.values:
        yield f"value {enum.full_name} {value.number} {value.name}"


def kind_of(field: FieldDescriptor) -> str:
    named = field.message_type or field.enum_type
    kind = FieldDescriptorProto.Type.Name(FieldDescriptorProto.Type.ValueType(field.type)).removeprefix("TYPE_").lower()
    kind = f"{kind} {named.full_name}" if named else kind
    label = "repeated " if field.is_repeated else "optional " if field.has_presence and not named else ""
    group = f" in {field.containing_oneof.name}" if field.containing_oneof and not label else ""
    return label + kind + group


def today() -> list[str]:
    return [line for file in FILES for line in promises(file.DESCRIPTOR)]


def kept() -> list[str]:
    return [line for line in CONTRACT.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]


def test_what_was_promised_is_still_so() -> None:
    assert [line for line in kept() if line not in set(today())] == []


def test_what_is_new_is_promised_from_now_on() -> None:
    missing = [line for line in today() if line not in set(kept())]
    assert missing == [], f"add these lines to {CONTRACT.name}"


def read(**changed: str) -> list[str]:
    """Read a small file, as it was or with something changed."""
    file = FileDescriptorProto(name="small.proto", package="p", syntax="proto3")
    message = file.message_type.add(name="M")
    kind = FieldDescriptorProto.Type.Value(changed.get("type", "TYPE_INT64"))
    label = FieldDescriptorProto.Label.Value(changed.get("label", "LABEL_OPTIONAL"))
    message.field.add(name=changed.get("name", "a"), number=int(changed.get("number", "1")), type=kind, label=label)
    enum = file.enum_type.add(name="E")
    enum.value.add(name="ZERO", number=0)
    enum.value.add(name=changed.get("value", "ONE"), number=1)
    rpc = file.service.add(name="S").method.add(name=changed.get("rpc", "Do"), input_type=".p.M", output_type=".p.M")
    rpc.server_streaming = "stream" in changed
    pool = DescriptorPool()
    pool.Add(file)
    return list(promises(pool.FindFileByName("small.proto")))


@pytest.mark.parametrize(
    "change",
    [
        {"name": "b"},
        {"number": "2"},
        {"type": "TYPE_STRING"},
        {"label": "LABEL_REPEATED"},
        {"value": "UNO"},
        {"rpc": "Make"},
        {"stream": "yes"},
    ],
)
def test_every_kind_of_break_is_found(change: dict[str, str]) -> None:
    assert read() == ["field p.M 1 a: int64", "value p.E 0 ZERO", "value p.E 1 ONE", "rpc /p.S/Do p.M -> p.M"]
    assert len(set(read()) - set(read(**change))) == 1
