"""The one shape of every input that breaks the contract, and its table."""

from __future__ import annotations

import time

import apache_beam as beam
import pyarrow as pa
from apache_beam.pvalue import PCollection

from questline_beam.transforms.batches import Batch
from questline_core.broker.port import MESSAGE_ID, REJECT, Message
from questline_core.events.checks import Problem
from questline_core.events.rows import to_table
from questline_core.pb.broker_pb2 import Reject

SOURCE = "stream"
"""`source` of what is rejected here; the gateway's rejects bring their own."""


def rejected(message: Message, problem: Problem, *, event_id: str = "", title: str = "") -> Reject:
    """Keep a message for what is wrong with it, with its payload as it came."""
    return Reject(
        payload=message.data,
        reason=problem.reason,
        field=problem.field,
        message=problem.message,
        source=SOURCE,
        time_micros=now_micros(),
        event_id=event_id,
        title=title,
        message_id=message_id(message),
    )


def crashed(message: Message, error: Exception) -> Reject:
    """Keep a message that a step could not bear."""
    text = f"the stream cannot process this message ({type(error).__name__}: {error})"
    problem = Problem(reason="unprocessable", field="", message=text)
    return rejected(message, problem, event_id=message.attributes.get("id", ""))


def garbage(message: Message, kind: str) -> Reject:
    """Keep a message whose payload is not what it says, such as "a serialized Event"."""
    text = f"the payload is not {kind}; look at it in `payload`"
    problem = Problem(reason="malformed", field="", message=text)
    return rejected(message, problem, event_id=message.attributes.get("id", ""))


def from_gateway(message: Message) -> Reject:
    """Read what the gateway rejected.

    Raises:
        DecodeError: the message says that it is a reject, and is none.
    """
    reject = Reject.FromString(message.data)
    reject.message_id = message_id(message)
    return reject


def message_id(message: Message) -> str:
    """Name a message, the same on every delivery."""
    return message.attributes[MESSAGE_ID]


def now_micros() -> int:
    """Tell the time in microseconds since 1970-01-01 UTC."""
    return time.time_ns() // 1_000


def is_reject(message: Message) -> bool:
    """Tell whether the gateway rejected what this message carries."""
    return message.attributes.get("kind") == REJECT


def to_reject_table(rejects: Batch[Reject]) -> pa.Table:
    """Make rows of a batch of rejects."""
    return to_table(Reject, rejects)


class RejectRows(beam.PTransform[PCollection[Batch[Reject]], PCollection[pa.Table]]):
    """Batches of rejects become tables."""

    def expand(self, rejects: PCollection[Batch[Reject]]) -> PCollection[pa.Table]:
        """See the class."""
        return rejects | "Write as columns" >> beam.Map(to_reject_table).with_output_types(pa.Table)
