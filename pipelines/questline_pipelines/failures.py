"""Find the sentence that explains a failed step in all that the step has printed."""

from __future__ import annotations

import re

_TRACEBACK = "Traceback (most recent call last):"
_EXCEPTION = re.compile(r"(?P<kind>[A-Za-z_][\w.]*)(?:: (?P<text>.*))?", re.DOTALL)
_INDENT = " " * 4  # kfp puts it before each line of a step, and not before its own lines


def sentence(printed: str) -> str:
    """Return the text of the exception that ended a step: without its class if it is one of ours."""
    lines = [line.removeprefix(_INDENT) for line in printed.splitlines() if line.startswith(_INDENT)]
    _, found, trace = "\n".join(lines).rpartition(_TRACEBACK)
    if not found:
        return "it ended without saying why (out of memory, or ended from outside)"
    return _explain(_without_frames(trace.splitlines()[1:]))


def _without_frames(trace: list[str]) -> str:
    """Keep what comes after the frames, which are indented: the exception, which may have several lines."""
    start = next((at for at, line in enumerate(trace) if line and not line.startswith(" ")), len(trace))
    return "\n".join(trace[start:]).strip()


def _explain(exception: str) -> str:
    match = _EXCEPTION.fullmatch(exception)
    if match is None or not match["text"]:
        return exception or "it ended in the middle of a traceback"
    ours = match["kind"].startswith("questline_")
    return match["text"] if ours else f"{match['kind'].rpartition('.')[2]}: {match['text']}"
