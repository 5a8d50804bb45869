"""Settings of the stream process."""

from __future__ import annotations

from pydantic import Field

from questline_core.settings import PlatformSettings


class StreamSettings(PlatformSettings):
    """What the stream needs beside the broker and the warehouse."""

    stream_batch: int = Field(default=20_000, ge=1, le=100_000)
    """Most messages of one batch, which becomes one append."""
    stream_lease_s: float = Field(default=60.0, gt=0)
    """How long a batch may take before its messages are delivered again."""
    stream_wait_s: float = Field(default=0.5, ge=0)
    """Least time between two batches that are not full: fewer, larger appends at the cost of that delay."""
