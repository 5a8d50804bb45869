"""The elements of the collections: whole batches, because a call of a step costs as much as some tens of events."""

from __future__ import annotations

import pickle
from typing import TypeVar

import pyarrow as pa
from apache_beam.coders import Coder
from apache_beam.coders.typecoders import registry

T = TypeVar("T")

GUESSED_BYTES = 1_000
"""Of one event."""


class Batch(list[T]):
    """Some messages or events that travel together."""


class BatchCoder(Coder):
    """Encodes what has many events in it. Its size is guessed, because Beam measures sizes by encoding.

    Elements of steps that are fused are never encoded but measured: this alone took as long as decoding and checking.
    """

    def encode(self, value: Batch[object] | pa.Table) -> bytes:
        """Write a batch."""
        return pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)

    def decode(self, encoded: bytes) -> Batch[object] | pa.Table:
        """Read a batch that this job has written."""
        return pickle.loads(encoded)  # noqa: S301 - written by this job

    def estimate_size(self, value: Batch[object] | pa.Table) -> int:
        """Guess the size in bytes."""
        return len(value) * GUESSED_BYTES

    def is_deterministic(self) -> bool:
        """Tell that a batch is no key."""
        return False


registry.register_coder(Batch, BatchCoder)
registry.register_coder(pa.Table, BatchCoder)
