"""Write a set of positions in a group as short text: `0-999` or `3,7-9`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def to_text(positions: Iterable[int]) -> str:
    """Write ascending positions as ranges."""
    runs: list[list[int]] = []
    for position in positions:
        if runs and position == runs[-1][1] + 1:
            runs[-1][1] = position
        else:
            runs.append([position, position])
    return ",".join(f"{first}-{last}" if last > first else f"{first}" for first, last in runs)


def from_text(text: str) -> Sequence[int]:
    """Read positions, ascending."""
    if "," not in text:
        return _run(text)
    return [position for part in text.split(",") for position in _run(part)]


def _run(text: str) -> range:
    first, dash, last = text.partition("-")
    return range(int(first), int(last if dash else first) + 1)
