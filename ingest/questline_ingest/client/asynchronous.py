"""The game client for programs on asyncio: the same queue and the same calls, awaited."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Self, TypeVar

from google.protobuf.message import Message

from questline_core.pb.telemetry_pb2 import Event
from questline_ingest.client.game import GameClient
from questline_ingest.client.uploading import Tally
from questline_ingest.pb import ingest_pb2 as pb

P = TypeVar("P", bound=Message)
T = TypeVar("T")


class AsyncGameClient:
    """Awaits what a `GameClient` does, on threads of its own; an async context manager that opens and closes it."""

    def __init__(self, game: GameClient, *, threads: int = 16) -> None:
        """Wrap a client that is not entered yet.

        Args:
            game: the client.
            threads: most calls of this client at once, such as questions that wait for a model.
        """
        self._game = game
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="questline-client")

    async def __aenter__(self) -> Self:
        await self._do(self._game.__enter__)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._do(self._game.__exit__)
        self._threads.shutdown(wait=False)

    @property
    def tally(self) -> Tally:
        """What became of the events so far."""
        return self._game.tally

    @property
    def clock_skew_s(self) -> float | None:
        """The gateway's clock minus this machine's, in seconds; None before the first answer."""
        return self._game.clock_skew_s

    async def set_consent(self, *, given: bool) -> None:
        """See `GameClient.set_consent`."""
        await self._do(lambda: self._game.set_consent(given=given))

    async def record(self, event: Event) -> bool:
        """See `GameClient.record`."""
        return await self._do(lambda: self._game.record(event))

    async def predict(self, event: Event, model: pb.Model.ValueType, *, timeout_s: float, default: P) -> P:
        """See `GameClient.predict`."""
        return await self._do(lambda: self._game.predict(event, model, timeout_s=timeout_s, default=default))

    async def flush(self, *, timeout_s: float) -> bool:
        """See `GameClient.flush`."""
        return await self._do(lambda: self._game.flush(timeout_s=timeout_s))

    async def _do(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)
