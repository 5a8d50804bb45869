"""Notice in the answers of a client which events were rejected that should not have been, and why."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from questline_core.errors import BadInput
from questline_core.pb.telemetry_pb2 import Event
from questline_ingest.pb import ingest_pb2 as pb


def refuse(count: int, first: str) -> None:
    """Do nothing if no event was rejected.

    Raises:
        BadInput: some were; says why the first one was.
    """
    if count:
        raise BadInput(
            f"{count:,} events were rejected; the first one: {first}; `questline rejects list` tells of the others"
        )


@dataclass(slots=True)
class Rejections:
    """Counts rejected events and remembers why the first was rejected."""

    meant: Callable[[Event], bool] = lambda _: False
    """Tells of an event that was made to be rejected, which is not counted."""
    count: int = 0
    first: str = ""

    def note(self, events: Sequence[Event], answers: Sequence[pb.Answer], attempt: int) -> None:  # noqa: ARG002 - the client's signature
        """Look at the answers of one call."""
        for event, answer in zip(events, answers, strict=True):
            if answer.outcome == pb.REJECTED and not self.meant(event):
                self.count += 1
                self.first = self.first or answer.problem.message
