"""Ask a model once for all calls that wait: while one request is under way, the next one gathers."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

from questline_ingest.breaker import Breaker
from questline_ingest.open_inference import ModelUnavailable

MOST_ROWS = 2_000
"""Of one request that is made of several calls; a call that has more goes alone."""
AT_ONCE = 2
"""Requests under way: while the model works on one, the other is on its way."""

_Row = TypeVar("_Row")
_Row_contra = TypeVar("_Row_contra", contravariant=True)
_Answer = TypeVar("_Answer")
_Answer_co = TypeVar("_Answer_co", covariant=True)

Observe = Callable[[str, str, float, int], None]
"""Told of every request: revision (empty if none answered), outcome (`ok` or the reason), seconds, rows."""


class Asked(Protocol[_Row_contra, _Answer_co]):
    """A model that answers many rows at once."""

    async def ask(self, rows: Sequence[_Row_contra], *, timeout_s: float) -> Sequence[_Answer_co]:
        """Answer every row, in order.

        Raises:
            ModelUnavailable: there is no usable answer within `timeout_s` seconds; its `reason` is a stable word.
        """


class Gathered(Generic[_Row, _Answer]):
    """A model behind a breaker, asked for many calls in one request.

    No caller's deadline is that of the request: who has less time stops waiting, and it goes on for the others.
    """

    def __init__(self, model: Asked[_Row, _Answer], *, name: str, timeout_s: float, observe: Observe) -> None:
        self._model, self._name, self._timeout_s, self._observe = model, name, timeout_s, observe
        self._waiting: deque[tuple[Sequence[_Row], asyncio.Future[Sequence[_Answer]]]] = deque()
        self._running: set[asyncio.Task[None]] = set()
        self.breaker = Breaker()

    async def ask(self, rows: Sequence[_Row], *, timeout_s: float) -> Sequence[_Answer]:
        """Answer every row, in order.

        Raises:
            ModelUnavailable: as the model; reason `circuit_open` while it is left alone.
        """
        if self.breaker.is_open and not self.breaker.lets_through():
            raise ModelUnavailable(self._name, "circuit_open", "it gave no answers and is left alone for a while")
        answer: asyncio.Future[Sequence[_Answer]] = asyncio.get_running_loop().create_future()
        self._waiting.append((rows, answer))
        self._start()
        try:
            async with asyncio.timeout(timeout_s):
                return await answer
        except TimeoutError:
            raise ModelUnavailable(self._name, "timeout", f"no answer in {timeout_s:.3f} s") from None

    def _start(self) -> None:
        while self._waiting and len(self._running) < AT_ONCE:
            task = asyncio.create_task(self._request(self._take()))
            self._running.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._start()

    def _take(self) -> list[tuple[Sequence[_Row], asyncio.Future[Sequence[_Answer]]]]:
        taken = [self._waiting.popleft()]
        rows = len(taken[0][0])
        while self._waiting and rows + len(self._waiting[0][0]) <= MOST_ROWS:
            taken.append(self._waiting.popleft())
            rows += len(taken[-1][0])
        return taken

    async def _request(self, taken: Sequence[tuple[Sequence[_Row], asyncio.Future[Sequence[_Answer]]]]) -> None:
        wanted = [(rows, answer) for rows, answer in taken if not answer.done()]
        if not wanted:
            return
        rows = [row for own, _ in wanted for row in own]
        began = time.monotonic()
        try:
            async with asyncio.timeout(self._timeout_s):
                answers = await self._model.ask(rows, timeout_s=self._timeout_s)
        except TimeoutError:
            self._fail(wanted, ModelUnavailable(self._name, "timeout", f"no answer in {self._timeout_s:.3f} s"), began)
        except ModelUnavailable as error:
            self._fail(wanted, error, began)
        except Exception as error:  # noqa: BLE001 - who waits must hear of it, whatever it is
            self._fail(wanted, ModelUnavailable(self._name, "internal", repr(error)), began)
        else:
            self._succeed(wanted, answers, began)

    def _succeed(
        self,
        wanted: Sequence[tuple[Sequence[_Row], asyncio.Future[Sequence[_Answer]]]],
        answers: Sequence[_Answer],
        began: float,
    ) -> None:
        self.breaker.succeeded()
        self._observe(getattr(answers[0], "revision", ""), "ok", time.monotonic() - began, len(answers))
        start = 0
        for rows, answer in wanted:
            if not answer.done():
                answer.set_result(answers[start : start + len(rows)])
            start += len(rows)

    def _fail(
        self,
        wanted: Sequence[tuple[Sequence[_Row], asyncio.Future[Sequence[_Answer]]]],
        error: ModelUnavailable,
        began: float,
    ) -> None:
        self.breaker.failed()
        self._observe("", error.reason, time.monotonic() - began, sum(len(rows) for rows, _ in wanted))
        for _, answer in wanted:
            if not answer.done():
                answer.set_exception(error)
