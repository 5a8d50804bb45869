"""The job for the cluster: the streaming graph behind a Pub/Sub subscription, on Dataflow."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import closing

import apache_beam as beam
from apache_beam.io.gcp.pubsub import PubsubMessage, ReadFromPubSub
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
from apache_beam.pvalue import PCollection
from apache_beam.runners.runner import PipelineResult

from questline_beam.graph import Stream
from questline_beam.tables import create_tables
from questline_core.broker.port import MESSAGE_ID, Message
from questline_core.errors import BadInput
from questline_core.settings import PlatformSettings
from questline_core.warehouse.port import open_warehouse

_SUBSCRIPTION = re.compile(r"projects/[^/]+/subscriptions/[^/]+")


class FromPubSub(beam.PTransform[beam.pvalue.PBegin, PCollection[Message]]):
    """Messages of a subscription: unlike a topic it keeps what is published while no job runs.

    Their time is the attribute `time`, when the gateway took them, so that a backlog is worked through in its own time.
    """

    def __init__(self, subscription: str) -> None:
        """Set the subscription, as projects/PROJECT/subscriptions/NAME.

        Raises:
            BadInput: it has another form.
        """
        super().__init__()
        if not _SUBSCRIPTION.fullmatch(subscription):
            raise BadInput(f"{subscription!r} is no subscription; give it as projects/PROJECT/subscriptions/NAME")
        self._subscription = subscription

    def expand(self, pipeline: beam.pvalue.PBegin) -> PCollection[Message]:
        """See the class."""
        read = ReadFromPubSub(subscription=self._subscription, with_attributes=True, timestamp_attribute="time")
        return pipeline | "Read" >> read | "Take over" >> beam.Map(message_of).with_output_types(Message)


def message_of(message: PubsubMessage) -> Message:
    """Make a message of ours: its id is the one that Pub/Sub gave, the same on every delivery."""
    return Message(data=message.data, attributes={**message.attributes, MESSAGE_ID: message.message_id or ""})


def build(settings: PlatformSettings, *, subscription: str, dead_letters: str, options: Sequence[str]) -> beam.Pipeline:
    """Put the job together; nothing is started.

    Args:
        settings: where the warehouse is, and the title of events that bring none.
        subscription: as projects/PROJECT/subscriptions/NAME.
        dead_letters: address of a broker such as pubsub:PROJECT/TOPIC, or empty.
        options: Beam's own, such as --runner=DataflowRunner.

    Raises:
        BadInput: the subscription has another form.
    """
    beam_options = PipelineOptions(list(options))
    beam_options.view_as(StandardOptions).streaming = True
    pipeline = beam.Pipeline(options=beam_options)
    pipeline | "Messages" >> FromPubSub(subscription) | "Stream" >> Stream(settings, dead_letters=dead_letters)
    return pipeline


def submit(
    settings: PlatformSettings, *, subscription: str, dead_letters: str, options: Sequence[str]
) -> PipelineResult:
    """Make the tables that are not there yet, and start the job; see `build`."""
    pipeline = build(settings, subscription=subscription, dead_letters=dead_letters, options=options)
    with closing(open_warehouse(settings.warehouse_url)) as warehouse:
        create_tables(warehouse)
    return pipeline.run()
