"""What is read of a request is what protobuf reads of it, however the gateway reads it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from questline_core.errors import BadInput
from questline_ingest.convert import read_batch
from questline_ingest.pb import ingest_pb2 as pb
from questline_ingest.testing import an_event

SMALLEST = an_event("e", user_id="").ByteSize()


@pytest.mark.parametrize("size", [SMALLEST, 126, 127, 128, 129, 130, 255, 256, 16_382, 16_383, 16_384, 16_385])
@pytest.mark.parametrize("models", [[], [pb.SPEND, pb.CHURN]])
def test_one_event_of_any_size_is_read_with_its_bytes(size: int, models: list[pb.Model.ValueType]) -> None:
    event = an_event("e", user_id="")
    event.user_id = "x" * max(0, size - SMALLEST)
    raw = pb.SendRequest(events=[event], predict=models).SerializeToString()

    batch = read_batch(raw)

    assert (list(batch.events), list(batch.payloads)) == ([event], [event.SerializeToString()])
    assert (list(batch.models), dict(batch.unreadable)) == (models, {})


@settings(deadline=None, max_examples=300)
@given(
    st.lists(
        st.sampled_from([b"", b"\x0a\x00", b"\x0a\x80\x01", b"\x0a\x81\x00x", b"x" * 128, b"\x12\x01\x01"]), max_size=6
    )
)
def test_any_bytes_hold_as_many_events_as_protobuf_finds_or_are_refused(parts: list[bytes]) -> None:
    raw = b"".join(parts)
    try:
        expected = pb.SendRequest.FromString(raw).events
    except Exception:  # noqa: BLE001 - the gateway says which of the events cannot be read, or refuses the whole
        expected = None

    try:
        batch = read_batch(raw)
    except BadInput:
        assert expected is None
    else:
        assert batch.unreadable if expected is None else list(batch.events) == list(expected)
