"""Run a rule over whole batches, and send what breaks it to the dead-letter side."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from operator import attrgetter
from typing import Any, TypeAlias

import apache_beam as beam
from apache_beam.pvalue import TaggedOutput

from questline_beam.transforms.batches import Batch
from questline_beam.transforms.rejects import crashed
from questline_core.broker.port import Message
from questline_core.pb.broker_pb2 import Reject

KEPT, REJECTED = "kept", "rejected"
"""Tags of the two sides."""

Rule: TypeAlias = Callable[[Batch[Any]], tuple[Any, Batch[Reject]]]
"""Takes a batch; gives what goes on, and what was rejected."""

MessageOf: TypeAlias = Callable[[Any], Message]
"""Finds the message that brought an element of a batch."""


class ApplyRule(beam.DoFn):
    """A batch costs one call. A batch that the rule cannot bear is halved until the message that breaks it is alone.

    So one message that nobody foresaw becomes a reject, and neither stops the stream nor takes others with it.
    """

    def __init__(self, rule: Rule, message_of: MessageOf) -> None:
        self._rule, self._message_of = rule, message_of

    def process(self, batch: Batch[Any]) -> Iterator[Any]:
        """Yield what goes on, and a tagged batch of rejects, each if there is any."""
        try:
            kept, rejected = self._rule(batch)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this message's and is kept with it
            if len(batch) > 1:
                yield from self.process(Batch(batch[: len(batch) // 2]))
                yield from self.process(Batch(batch[len(batch) // 2 :]))
            else:
                yield TaggedOutput(REJECTED, Batch([crashed(self._message_of(batch[0]), error)]))
            return
        if len(kept):
            yield kept
        if rejected:
            yield TaggedOutput(REJECTED, rejected)


def sides_of(rule: Rule, *, kept: type, message_of: MessageOf = attrgetter("message")) -> beam.PTransform[Any, Any]:
    """Make the transform of a rule, whose output has the sides `kept` (elements of this type) and `rejected`."""
    step = beam.ParDo(ApplyRule(rule, message_of)).with_output_types(kept)
    return step.with_outputs(REJECTED, main=KEPT)
