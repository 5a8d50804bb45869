"""Ask how likely players are to leave: in this process from the mapped snapshot, else over the V2 protocol."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from math import isfinite
from pathlib import Path

import grpc

from questline_core.errors import BadInput, NotReady
from questline_core.lookup import UNKNOWN, Generation, Lookup
from questline_ingest.gathered import Gathered, Observe
from questline_ingest.open_inference import CHANNEL_OPTIONS, BadAnswer, OpenInference, read_numbers, read_texts
from questline_ingest.pb.open_inference_pb2 import ModelInferResponse
from questline_ingest.verdicts import Churn

MODEL = "churn"
_PLAYER = "user_pseudo_id"


class MappedLookup:
    """The snapshot under the home folder, if there is one; `refresh` follows what is published."""

    def __init__(self, root: Path, key: Callable[[], bytes]) -> None:
        """See `questline_core.lookup.Lookup`; the key is asked for when there is something to check with it."""
        self._root, self._key = root, key
        self.lookup: Lookup | None = None

    def refresh(self) -> None:
        """Take the newest generation; may take a second for ten million players, in which other threads run.

        Raises:
            BadInput: the secret that signs generations cannot be used.
        """
        if self.lookup is None and self._root.exists():
            self.lookup = Lookup(self._root, key=self._key())
        if self.lookup:
            self.lookup.refresh()

    def generation(self) -> Generation | None:
        """Give the generation that answers now; None if there is none."""
        try:
            return self.lookup.generation if self.lookup else None
        except NotReady:
            return None


class RemoteLookup:
    """The lookup behind a V2 gRPC server."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._model = OpenInference(channel, _read, model=MODEL)

    async def ask(self, rows: Sequence[str], *, timeout_s: float) -> list[Churn]:
        """Look every player up by one request.

        Raises:
            ModelUnavailable: as `OpenInference`.
        """
        return await self._model.ask([{_PLAYER: player} for player in rows], timeout_s=timeout_s)


class ChurnModel:
    """Answers from the mapped snapshot at once when it is there, and asks the server otherwise."""

    def __init__(self, mapped: MappedLookup, remote: Gathered[str, Churn]) -> None:
        self._mapped, self.remote = mapped, remote

    @property
    def mapped(self) -> str:
        """The generation that is mapped here; empty while there is none."""
        generation = self._mapped.generation()
        return generation.told.generation if generation else ""

    async def ask(self, rows: Sequence[str], *, timeout_s: float) -> Sequence[Churn]:
        """Look every player up; all answers of a request are of one generation.

        Raises:
            ModelUnavailable: there is no snapshot here, and the server gave no usable answer.
        """
        generation = self._mapped.generation()
        if generation is None:
            return await self.remote.ask(rows, timeout_s=timeout_s)
        name = generation.told.generation
        return [_churn(score.probability, score.source, name) for score in generation.get_many(rows)]


@asynccontextmanager
async def open_churn_model(
    address: str, mapped: MappedLookup, *, timeout_s: float, observe: Observe
) -> AsyncIterator[ChurnModel]:
    """Connect to host:port when the first question comes that the snapshot cannot answer."""
    async with grpc.aio.insecure_channel(address, options=CHANNEL_OPTIONS) as channel:
        remote = Gathered[str, Churn](RemoteLookup(channel), name=MODEL, timeout_s=timeout_s, observe=observe)
        yield ChurnModel(mapped, remote)


def refreshed(mapped: MappedLookup) -> str:
    """Refresh, and tell why that cannot be; empty when it went well."""
    try:
        mapped.refresh()
    except (BadInput, OSError) as error:
        return str(error)
    return ""


def _read(response: ModelInferResponse, rows: int) -> list[Churn]:
    numbers = read_numbers(response, ("probability",), rows=rows)
    if not all(isfinite(probability) and 0 <= probability <= 1 for (probability,) in numbers):
        raise BadAnswer("a probability is not between 0 and 1")
    sources = read_texts(response, "source", rows=rows)
    generations = read_texts(response, "generation", rows=rows)
    return [_churn(p, source, name) for (p,), source, name in zip(numbers, sources, generations, strict=True)]


def _churn(probability: float, source: str, generation: str) -> Churn:
    known = source != UNKNOWN
    return Churn(probability=probability, model=source if known else "", generation=generation, is_prior=not known)
