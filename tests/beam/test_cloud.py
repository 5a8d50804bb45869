"""The job for Dataflow, as far as it can be judged without Google: it is put together, and its source and options hold."""

from __future__ import annotations

from pathlib import Path

import pytest
from apache_beam.io.gcp.pubsub import PubsubMessage
from apache_beam.options.pipeline_options import StandardOptions
from apache_beam.portability.api import beam_runner_api_pb2

from questline_beam.cloud import build, message_of
from questline_core.errors import BadInput
from questline_core.settings import PlatformSettings

SUBSCRIPTION = "projects/flood-game/subscriptions/events"


def test_the_job_reads_a_subscription_by_the_time_of_arrival_and_streams(tmp_path: Path) -> None:
    settings = PlatformSettings(home=tmp_path)

    pipeline = build(settings, subscription=SUBSCRIPTION, dead_letters="", options=["--runner=FnApiRunner"])

    assert pipeline.options.view_as(StandardOptions).streaming
    transforms = pipeline.to_runner_api().components.transforms.values()
    (read,) = [t.spec for t in transforms if t.spec.urn == "beam:transform:pubsub_read:v1"]
    payload = beam_runner_api_pb2.PubSubReadPayload.FromString(read.payload)
    assert (payload.subscription, payload.topic) == (SUBSCRIPTION, "")
    assert (payload.timestamp_attribute, payload.with_attributes) == ("time", True)


def test_a_topic_is_refused_because_it_keeps_nothing_for_a_job_that_is_down(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="'projects/flood-game/topics/events' is no subscription; give it as projects/"):
        build(
            PlatformSettings(home=tmp_path),
            subscription="projects/flood-game/topics/events",
            dead_letters="",
            options=[],
        )


def test_a_message_keeps_its_id_so_that_a_reject_that_comes_again_is_known() -> None:
    message = message_of(PubsubMessage(b"data", {"kind": "event", "id": "e"}, message_id="42"))

    assert (message.data, message.attributes) == (b"data", {"kind": "event", "id": "e", "message_id": "42"})
