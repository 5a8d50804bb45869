"""The contract in a schema registry: it stands alone, and reads what the gateway writes."""

import subprocess
import sys
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from questline_core.events.registered import registered_schema
from questline_core.pb.telemetry_pb2 import Event


def compiled(folder: Path) -> descriptor_pb2.FileDescriptorProto:
    (folder / "event.proto").write_text(registered_schema())
    subprocess.run(
        [sys.executable, "-m", "grpc_tools.protoc", f"-I{folder}", f"--descriptor_set_out={folder}/out", "event.proto"],
        check=True,
    )
    (only,) = descriptor_pb2.FileDescriptorSet.FromString((folder / "out").read_bytes()).file
    return only


def test_the_registered_schema_has_one_message_and_imports_nothing(tmp_path: Path) -> None:
    file = compiled(tmp_path)

    assert [message.name for message in file.message_type] == ["Event"]
    assert list(file.dependency) == []


def test_what_the_contract_writes_is_read_without_an_unknown_field(tmp_path: Path) -> None:
    pool = descriptor_pool.DescriptorPool()
    pool.Add(compiled(tmp_path))
    registered = message_factory.GetMessageClass(pool.FindMessageTypeByName("Event"))
    event = Event(event_id="e1", event_timestamp=2**62 + 1, is_test=False)
    param = event.event_params.add(key="level")
    param.value.int_value = -8048149271648124879
    event.device.web_info.browser = "Firefox"

    read: Any = registered.FromString(event.SerializeToString())

    assert read.event_params[0].value.int_value == -8048149271648124879
    assert read.device.web_info.browser == "Firefox"
    assert read.HasField("is_test")
    assert {field.name: field.number for field in read.DESCRIPTOR.fields} == {
        field.name: field.number for field in Event.DESCRIPTOR.fields
    }
