"""What is read of a request is what protobuf reads of it, however the gateway reads it."""

from __future__ import annotations

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st

from questline_core.errors import BadInput
from questline_ingest.convert import lone_event, read_alike, read_batch
from questline_ingest.pb import ingest_pb2 as pb
from questline_ingest.testing import an_event

SMALLEST = an_event("e", user_id="").ByteSize()


@pytest.mark.parametrize("size", [SMALLEST, 126, 127, 128, 129, 130, 255, 256, 16_382, 16_383, 16_384, 16_385])
@pytest.mark.parametrize("models", [[], [pb.SPEND, pb.CHURN]])
def test_one_event_of_any_size_is_read_with_its_bytes(size: int, models: list[pb.Model.ValueType]) -> None:
    event = an_event("e", user_id="")
    event.user_id = "x" * max(0, size - SMALLEST)
    raw = pb.SendRequest(events=[event], predict=models).SerializeToString()

    lone = lone_event(raw)
    batch = read_alike([lone.payload], lone.models) if lone else read_batch(raw)

    assert (list(batch.events), list(batch.payloads)) == ([event], [event.SerializeToString()])
    assert (list(batch.models), dict(batch.unreadable)) == (models, {})


PARTS = [b"", b"\x0a\x00", b"\x0a\x80\x01", b"\x0a\x81\x00x", b"\x0a\x80\x00", b"x" * 128, b"\x12\x01\x01", b"\x12\x05"]


@settings(deadline=None, max_examples=500)
@given(st.lists(st.sampled_from(PARTS), max_size=6))
def test_any_bytes_hold_as_many_events_as_protobuf_finds_or_are_refused(parts: list[bytes]) -> None:
    raw = b"".join(parts)
    try:
        expected = pb.SendRequest.FromString(raw)
    except DecodeError:
        expected = None

    try:
        lone = lone_event(raw)
        batch = read_alike([lone.payload], lone.models) if lone else read_batch(raw)
    except BadInput:
        assert expected is None
    else:
        assert batch.unreadable if expected is None else list(batch.events) == list(expected.events)
        assert expected is None or list(batch.models) == list(expected.predict)


def test_events_of_several_requests_are_read_as_each_alone() -> None:
    events = [an_event(user_id="x" * size) for size in (0, 50, 128, 9_000)]
    payloads = [event.SerializeToString() for event in events]

    batch, broken = read_alike(payloads, (1,)), read_alike([payloads[0], b"\x0a\x05x", payloads[1]], ())

    assert (list(batch.events), batch.payloads, batch.models) == (events, payloads, (1,))
    assert (broken.events[0], broken.events[2], set(broken.unreadable)) == (events[0], events[1], {1})
