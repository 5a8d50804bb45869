"""Apply a rule to whole batches, with a dead-letter side."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import apache_beam as beam
from apache_beam.pvalue import TaggedOutput

from questline_beam.transforms.batches import Arrived, Batch
from questline_beam.transforms.rejects import crashed
from questline_core.broker.port import Message
from questline_core.pb.broker_pb2 import Reject

KEPT, REJECTED = "kept", "rejected"
"""Tags of the two sides."""

Incoming: TypeAlias = "Batch[Message] | Arrived"
Rule: TypeAlias = Callable[[Any], tuple[Any, Batch[Reject]]]
"""Takes a batch; gives what goes on, and what was rejected."""


class ApplyRule(beam.DoFn):
    """A batch costs one call. A batch that the rule cannot bear is halved until the message that breaks it is alone.

    So one message that nobody foresaw becomes a reject, and neither stops the stream nor takes others with it.
    """

    def __init__(self, rule: Rule) -> None:
        self._rule = rule

    def process(self, batch: Incoming) -> Iterator[Any]:
        """Yield what goes on, and a tagged batch of rejects, each if there is any."""
        try:
            kept, rejected = self._rule(batch)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this message's and is kept with it
            if (half := len(batch) // 2) > 0:
                yield from self.process(batch.part(0, half))
                yield from self.process(batch.part(half, len(batch)))
            else:
                message = batch.messages[0] if isinstance(batch, Arrived) else batch[0]
                yield TaggedOutput(REJECTED, Batch([crashed(message, error)]))
            return
        if len(kept):
            yield kept
        if rejected:
            yield TaggedOutput(REJECTED, rejected)


def sides_of(rule: Rule, *, kept: type) -> beam.PTransform[Any, Any]:
    """Make the transform of a rule, whose output has the sides `kept` (elements of this type) and `rejected`."""
    step = beam.ParDo(ApplyRule(rule)).with_output_types(kept)
    return step.with_outputs(REJECTED, main=KEPT)
