"""What became of each run of a pipeline on a cluster: a row in the warehouse, and a message to whoever wants one."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from http.client import HTTPException
from urllib.request import Request, urlopen

import pyarrow as pa

from questline_core.errors import BadInput, NotReady
from questline_core.warehouse.port import open_warehouse

RUNS = "serving.runs"
SCHEMA = pa.schema(
    (
        pa.field("run", pa.string(), nullable=False),
        pa.field("pipeline", pa.string(), nullable=False),
        pa.field("state", pa.string(), nullable=False),
        pa.field("error", pa.string(), nullable=False),
        pa.field("ended_at", pa.timestamp("us", "UTC"), nullable=False),
    )
)
_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A run that is over."""

    run: str
    """Name by which Kubeflow or Vertex AI knows it."""
    pipeline: str
    state: str
    """SUCCEEDED, FAILED or CANCELLED."""
    error: str
    """Why it failed; empty if it did not."""


def note_end(ended: Ended, *, warehouse: str, notify: str) -> None:
    """Write the outcome, once for each run, and post it as JSON to an address; an empty one is told nothing.

    Raises:
        NotReady: the address does not take it; the row is written, so that this may be called again.
        BadInput: the address is none of http or https.
    """
    if notify and not notify.startswith(("http://", "https://")):
        raise BadInput(f"{notify!r} is no address to notify; give one that begins with https://")
    with closing(open_warehouse(warehouse)) as opened:
        opened.create(RUNS, SCHEMA)
        opened.append(RUNS, pa.Table.from_pylist([asdict(ended) | {"ended_at": datetime.now(UTC)}], SCHEMA), key="run")
    if notify:
        _post(notify, ended)


def _post(address: str, ended: Ended) -> None:
    request = Request(address, json.dumps(asdict(ended)).encode(), {"Content-Type": "application/json"})  # noqa: S310 - checked
    try:
        with urlopen(request, timeout=_TIMEOUT_S):  # noqa: S310 - as above
            return
    except (OSError, HTTPException) as error:
        raise NotReady(f"the end of {ended.run} could not be told to {address} ({error})") from None
