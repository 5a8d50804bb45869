"""Make one batch of requests that come at once with one event each: what is done once a batch is the most of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import NamedTuple

from questline_ingest.auth.keys import Caller
from questline_ingest.convert import Lone, read_alike, written_answers
from questline_ingest.gateway import Begun, Budget, Gateway

_MOST = 100
"""Events of one batch; more would hold up what else there is to do."""


class Alike(NamedTuple):
    """What requests have in common that go together, beside the models that they ask."""

    caller: Caller
    trace: str
    budget: Budget


class _Waiting(NamedTuple):
    """A request that is not begun yet."""

    lone: Lone
    answer: asyncio.Future[bytes]
    let_go: Callable[[], None]


class Together:
    """Takes the requests of one turn of the event loop together; none fails by its neighbours."""

    def __init__(self, gateway: Gateway, *, most: int) -> None:
        """Make batches of at most so many events, which the gateway must take."""
        self._gateway, self._most = gateway, min(most, _MOST)
        self._waiting: dict[tuple[Alike, Sequence[int]], list[_Waiting]] = {}
        self._running = set[asyncio.Task[None]]()

    def add(self, lone: Lone, alike: Alike, let_go: Callable[[], None]) -> asyncio.Future[bytes]:
        """Take a request, and give what will be the bytes of its response.

        Args:
            lone: its only event, and the models that it asks.
            alike: goes with others of which this is the same.
            let_go: is told once, when nothing of the request is worked on any more.
        """
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._take_all)
        answer: asyncio.Future[bytes] = loop.create_future()
        self._waiting.setdefault((alike, lone.models), []).append(_Waiting(lone, answer, let_go))
        return answer

    def _take_all(self) -> None:
        waiting, self._waiting = self._waiting, {}
        for (alike, models), ones in waiting.items():
            for start in range(0, len(ones), self._most):
                self._take(ones[start : start + self._most], alike, models)

    def _take(self, ones: Sequence[_Waiting], alike: Alike, models: Sequence[int]) -> None:
        def let_go() -> None:
            for one in ones:
                one.let_go()

        caller, trace, budget = alike
        try:
            batch = read_alike([one.lone.payload for one in ones], models)
            begun = self._gateway.begin(batch, trace=trace, budget=budget, caller=caller, let_go=let_go)
        except Exception as error:  # noqa: BLE001 - who waits is told
            if len(ones) > 1:
                for one in ones:
                    self._take([one], alike, models)
            else:
                let_go()
                _fail(ones, error)
            return
        task = asyncio.create_task(self._answer(ones, begun))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _answer(self, ones: Sequence[_Waiting], begun: Begun) -> None:
        try:
            answers = written_answers(*await self._gateway.answered(begun))
        except Exception as error:  # noqa: BLE001 - who waits is told
            _fail(ones, error)
            return
        for one, answer in zip(ones, answers, strict=True):
            if not one.answer.done():  # else the call was abandoned
                one.answer.set_result(answer)


def _fail(ones: Sequence[_Waiting], error: Exception) -> None:
    for one in ones:
        if not one.answer.done():
            one.answer.set_exception(error)
