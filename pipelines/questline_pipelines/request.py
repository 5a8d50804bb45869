"""What the process that runs a pipeline is asked to do."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One run of one pipeline on this machine."""

    function: str
    """The pipeline, as `module:function`."""
    parameters: Mapping[str, Any]
    log: Path
    outputs: Path
    """Where the artifacts of all runs lie: a run may use those of an earlier one."""
    cache: Path
    """What earlier runs have done already."""

    def to_line(self) -> str:
        """Write it as one line."""
        return json.dumps(asdict(self), default=str) + "\n"

    @classmethod
    def from_line(cls, line: str) -> Request:
        """Read what `to_line` wrote."""
        fields = json.loads(line)
        return cls(**fields | {name: Path(fields[name]) for name in ("log", "outputs", "cache")})
