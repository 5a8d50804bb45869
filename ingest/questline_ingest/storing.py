"""Hand what calls store to the broker: what comes together goes together, and meanwhile the next publish gathers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

import structlog

from questline_core.broker.port import Broker, Message
from questline_core.errors import BrokerFull
from questline_ingest.verdicts import Refusal

log = structlog.get_logger()

AT_ONCE = 4
"""Publishes under way. The spool commits what waits together anyway; Pub/Sub has several requests on their way."""

_TROUBLE_LASTS_S = 5.0

_BROKER_FAILED = Refusal(
    reason="broker_failed", message="the event could not be stored because of an error; send it again"
)

Settle = Callable[[Refusal | None], None]
"""Told once whether the messages are durable (None) or why not, also when the call was abandoned."""


Committed = Callable[[float, int], None]
"""Told of every publish that became durable: seconds, messages."""


class Storing:
    """One for a process. All messages of a publish are durable, or all of them are refused."""

    def __init__(self, broker: Broker, *, committed: Committed) -> None:
        self._broker, self._committed = broker, committed
        self._waiting: list[tuple[Sequence[Message], Settle]] = []
        self._waiting_since = 0.0
        self._running: dict[asyncio.Task[None], float] = {}
        """Publishes under way, and since when the oldest call of each waits."""
        self._woken = False
        self.stored_bytes = 0
        self._failure, self._failed_at = "", 0.0

    @property
    def waiting(self) -> int:
        """Count the calls whose publish has not begun."""
        return len(self._waiting)

    def waiting_s(self) -> float:
        """Tell how long the oldest of them has waited, in seconds."""
        return time.monotonic() - self._waiting_since if self._waiting else 0.0

    def behind_s(self) -> float:
        """Tell for how long the oldest call whose messages are not durable yet has waited, in seconds."""
        if not self._running:
            return self.waiting_s()
        return time.monotonic() - min(self._running.values())

    def trouble(self) -> str:
        """Tell why events were refused just now; empty if the last publish went well, or failed a while ago.

        A gateway that gets no calls because it is not ready could never find out that it is again.
        """
        return self._failure if time.monotonic() - self._failed_at < _TROUBLE_LASTS_S else ""

    def add(self, messages: Sequence[Message], settle: Settle) -> None:
        """Publish as soon as may be; the caller cannot take it back."""
        if not self._waiting:
            self._waiting_since = time.monotonic()
        self._waiting.append((messages, settle))
        if not self._woken and len(self._running) < AT_ONCE:
            self._woken = True
            asyncio.get_running_loop().call_soon(self._start)

    async def settled(self) -> None:
        """Wait until nothing waits and no publish is under way."""
        while self._running or self._waiting:
            await asyncio.wait(self._running) if self._running else await asyncio.sleep(0)

    def _start(self) -> None:
        self._woken = False
        if self._waiting and len(self._running) < AT_ONCE:
            taken, self._waiting = self._waiting, []
            task = asyncio.create_task(self._publish(taken))
            self._running[task] = self._waiting_since
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._running[task]
        self._start()

    async def _publish(self, taken: Sequence[tuple[Sequence[Message], Settle]]) -> None:
        messages = taken[0][0] if len(taken) == 1 else [message for own, _ in taken for message in own]
        refusal: Refusal | None = _BROKER_FAILED
        began = time.monotonic()
        try:
            await self._broker.publish(messages)
            refusal = None
            self._committed(time.monotonic() - began, len(messages))
            self.stored_bytes += sum(len(message[0]) for message in messages)
        except BrokerFull as full:
            refusal = Refusal(reason="spool_full", message=str(full), retry_after_s=full.retry_after_s)
        except Exception:
            log.exception("publish failed", messages=len(messages))
        finally:
            if refusal:
                self._failure, self._failed_at = refusal.message, time.monotonic()
            else:
                self._failure = ""
            for _, settle in taken:
                settle(refusal)
