"""The elements of the collections: whole batches, because a call of a step costs as much as some tens of events."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self, TypeVar

import pyarrow as pa
from apache_beam.coders import Coder
from apache_beam.coders.typecoders import registry

from questline_core.broker.port import Message

T = TypeVar("T")

GUESSED_BYTES = 1_000
"""Of one event."""


class Batch(list[T]):
    """Some messages or rejects that travel together."""

    def part(self, start: int, end: int) -> Self:
        """Give a part of it."""
        return type(self)(self[start:end])


@dataclass(frozen=True, slots=True)
class Arrived:
    """Some events that travel together: the messages that brought them, and what is in these, column by column."""

    messages: Sequence[Message]
    columns: pa.Table
    """One row for each message, as `wire.read` gives it."""

    def __len__(self) -> int:
        return len(self.messages)

    def part(self, start: int, end: int) -> Arrived:
        """Give a part of it."""
        return Arrived(self.messages[start:end], self.columns.slice(start, end - start))

    def take(self, rows: Sequence[int]) -> Arrived:
        """Give some of it, by row number."""
        return Arrived([self.messages[row] for row in rows], self.columns.take(pa.array(rows, pa.int64())))


class BatchCoder(Coder):
    """Encodes what has many events in it. Its size is guessed, because Beam measures sizes by encoding.

    Elements of steps that are fused are never encoded but measured: this alone took as long as decoding and checking.
    """

    def encode(self, value: Batch[object] | Arrived | pa.Table) -> bytes:
        """Write a batch."""
        return pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)

    def decode(self, encoded: bytes) -> Batch[object] | Arrived | pa.Table:
        """Read a batch that this job has written."""
        return pickle.loads(encoded)  # noqa: S301 - written by this job

    def estimate_size(self, value: Batch[object] | Arrived | pa.Table) -> int:
        """Guess the size in bytes."""
        return len(value) * GUESSED_BYTES

    def is_deterministic(self) -> bool:
        """Tell that a batch is no key."""
        return False


registry.register_coder(Batch, BatchCoder)
registry.register_coder(Arrived, BatchCoder)
registry.register_coder(pa.Table, BatchCoder)
