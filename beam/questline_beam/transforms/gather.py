"""Gather: elements that come together go on together."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import apache_beam as beam
from apache_beam.transforms.window import GlobalWindow, TimestampedValue
from apache_beam.utils.timestamp import MAX_TIMESTAMP
from apache_beam.utils.windowed_value import WindowedValue

MOST = 5_000
"""Elements of one batch."""


class Gather(beam.DoFn):
    """Makes batches of the elements of a bundle. A batch has the time of its earliest element.

    Beam's own `BatchElements` gives batches the end of all time, so that nothing holds back the watermark while a batch
    is on its way, and what waits for the watermark behind it, such as the end of a session, comes too early.
    """

    def __init__(self, make: Callable[[list[Any]], Any], *, most: int = MOST) -> None:
        self._make, self._most = make, most
        self._elements, self._earliest = list[Any](), MAX_TIMESTAMP

    def process(self, element: Any, at: Any = beam.DoFn.TimestampParam) -> Iterator[Any]:
        """Keep an element, and yield a batch that is full."""
        self._elements.append(element)
        self._earliest = min(self._earliest, at)
        if len(self._elements) >= self._most:
            batch, earliest = self._take()
            yield TimestampedValue(batch, earliest)

    def finish_bundle(self) -> Iterator[Any]:
        """Yield what is left."""
        if self._elements:
            batch, earliest = self._take()
            yield WindowedValue(batch, earliest, (GlobalWindow(),))

    def _take(self) -> tuple[Any, Any]:
        taken = self._make(self._elements), self._earliest
        self._elements, self._earliest = [], MAX_TIMESTAMP
        return taken
