"""The schemas that are derived from the .proto file agree with GA4's own and with each other."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from google.protobuf.descriptor_pb2 import FeatureSet

from questline_core.events.columns import columns
from questline_core.events.schema import TABLES, arrow_schema, bigquery_schema
from questline_core.pb.broker_pb2 import Reject
from questline_core.pb.telemetry_pb2 import Event

VARIANTS = Path(__file__).parents[3].parent / "shared/data/flood_it_events/schema_variants.json"

STRICTER = {
    "event_date": ("DATE", "REQUIRED"),
    "event_timestamp": ("INTEGER", "REQUIRED"),
    "event_name": ("STRING", "REQUIRED"),
    "user_pseudo_id": ("STRING", "REQUIRED"),
}
"""Where our table says more than GA4's, on purpose."""

ARROW = {
    "STRING": pa.string(),
    "INTEGER": pa.int64(),
    "FLOAT": pa.float64(),
    "BOOLEAN": pa.bool_(),
    "BYTES": pa.binary(),
    "DATE": pa.date32(),
    "TIMESTAMP": pa.timestamp("us", tz="UTC"),
}


def paths(fields: Sequence[dict[str, Any]], within: str = "") -> Iterator[tuple[str, tuple[str, str]]]:
    for field in fields:
        path = f"{within}{field['name']}"
        yield path, (field["type"], field["mode"])
        yield from paths(field.get("fields", []), f"{path}.")


def arrow_paths(fields: Sequence[pa.Field[Any]], within: str = "") -> Iterator[tuple[str, tuple[str, str]]]:
    names = {kind: name for name, kind in ARROW.items()}
    for field in fields:
        path, kind = f"{within}{field.name}", field.type
        mode = "NULLABLE" if field.nullable else "REQUIRED"
        if pa.types.is_list(kind):
            kind, mode = kind.value_type, "REPEATED"
        if pa.types.is_struct(kind):
            yield path, ("RECORD", mode)
            yield from arrow_paths(list(kind), f"{path}.")
        else:
            yield path, (names[kind], mode)


def test_every_path_of_the_five_ga4_variants_is_a_column_of_the_same_type_and_mode() -> None:
    if not VARIANTS.exists():
        pytest.skip("the real schemas are not at hand (../shared/data)")
    ours = dict(paths(bigquery_schema(Event)))
    theirs: dict[str, tuple[str, str]] = {}
    for variant in json.loads(VARIANTS.read_text()):
        theirs |= paths(variant["schema"])

    assert len(theirs) == 68
    assert {path: ours.get(path) for path in theirs} == theirs | STRICTER


@pytest.mark.parametrize("message", TABLES.values(), ids=TABLES.keys())
def test_the_bigquery_and_the_arrow_schema_agree_field_by_field(message: type[Event | Reject]) -> None:
    assert list(arrow_paths(list(arrow_schema(message)))) == list(paths(bigquery_schema(message)))


def test_the_columns_that_the_gateway_guarantees_are_required() -> None:
    required = {field["name"] for field in bigquery_schema(Event) if field["mode"] == "REQUIRED"}

    assert required == {
        "event_id",
        "title",
        "received_time",
        "event_date",
        "event_timestamp",
        "event_name",
        "user_pseudo_id",
    }


def test_a_description_is_the_comment_of_the_proto_file() -> None:
    described = {field["name"]: field.get("description") for field in bigquery_schema(Event)}

    assert described["user_pseudo_id"] == "The player. Every model and every join uses this id."
    assert described["event_id"] == (
        "Chosen by the client, the same on every resend: one event id is one row. 1 to 128 characters."
    )
    rejects = {field["name"]: field.get("description") for field in bigquery_schema(Reject)}
    assert rejects["payload"] == "as it came"
    assert rejects["title"] is None


def test_the_bigquery_schema_is_plain_json() -> None:
    assert json.loads(json.dumps(bigquery_schema(Event))) == bigquery_schema(Event)


def test_a_field_that_no_column_can_hold_is_a_mistake_in_the_proto_file() -> None:
    with pytest.raises(TypeError, match=r"FeatureSet\.field_presence has a type that no column can hold"):
        columns(FeatureSet)
