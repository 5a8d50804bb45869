"""Publish with few requests and little CPU: while requests are under way, the next one gathers by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from typing import Any

import grpc
from tenacity import AsyncRetrying, retry_if_exception, stop_after_delay, wait_random_exponential

from questline_core.broker.port import Message
from questline_core.broker.pubsub.address import Address
from questline_core.broker.pubsub.channels import PASSING, connect_async, explained, routed, unary
from questline_core.broker.pubsub.requests import (
    REQUEST_BYTES,
    REQUEST_MESSAGES,
    Lane,
    PublishResponse,
    Waiting,
    cut,
    size_bytes,
    written,
)
from questline_core.errors import BrokerFull, QuestlineError

IN_FLIGHT = 8
"""Requests under way at once, when each is full."""
EAGER = 2
"""Requests under way at once, when they are not full: one more waits until it is, or until one of these is answered."""
REQUEST_TIMEOUT_S = 5.0
RETRY_AFTER_S = 1.0


class Publisher:
    """Publishes for one event loop."""

    def __init__(self, address: Address, *, max_bytes: int, give_up_s: float) -> None:
        """See `open_pubsub`."""
        self.loop = asyncio.get_running_loop()
        self._topic, self._max_bytes = address.topic_path, max_bytes
        self._channel = connect_async(address)
        self._call = unary(self._channel, "Publisher/Publish", PublishResponse)
        self._metadata = routed("topic", self._topic)
        self._lane = Lane()
        self._at_end_of_turn = False
        self._slots = asyncio.Semaphore(IN_FLIGHT)
        self._tasks: set[asyncio.Task[None]] = set()
        self._held_bytes = 0
        self._again = AsyncRetrying(
            retry=retry_if_exception(_passes),
            wait=wait_random_exponential(multiplier=0.05, max=2),
            stop=stop_after_delay(give_up_s),
            reraise=True,
        )

    def publish(self, messages: Sequence[Message]) -> asyncio.Future[None]:
        """Give what is done when Pub/Sub has all messages.

        It fails with `BrokerFull` when not all are known to be there, and with `NotReady` when it refuses the topic
        or the identity.

        Raises:
            BrokerFull: too much waits already.
            BadInput: a message is too large for a request.
        """
        size = size_bytes(messages)
        if self._held_bytes + size > self._max_bytes:
            raise self._full(f"{self._held_bytes >> 20} MiB wait to be published already")
        if size <= REQUEST_BYTES and len(messages) <= REQUEST_MESSAGES:
            return self._add(messages, size)
        runs = list(cut(messages))  # before any is under way: a message may be too large
        return asyncio.ensure_future(_all_done([self._add(run, size_bytes(run)) for run in runs]))

    def close(self) -> None:
        """Close the channel; requests under way are abandoned."""
        with suppress(RuntimeError):  # the loop is closed, and so is what it served
            self.loop.call_soon_threadsafe(lambda: self._keep(self._channel.close(grace=None)))

    def _add(self, messages: Sequence[Message], size: int) -> asyncio.Future[None]:
        answer: asyncio.Future[None] = self.loop.create_future()
        self._lane.add(Waiting(messages, size, answer))
        self._held_bytes += size
        if not self._at_end_of_turn:  # of the loop, so that what is published in one turn goes together
            self.loop.call_soon(self._send_turn)
            self._at_end_of_turn = True
        return answer

    def _send_turn(self) -> None:
        self._at_end_of_turn = False
        self._send_waiting()

    def _send_waiting(self) -> None:
        lane = self._lane
        while lane.waiting and lane.under_way < (IN_FLIGHT if lane.fills_a_request() else EAGER):
            lane.under_way += 1
            self._keep(self._send(lane.take()))

    async def _send(self, taken: Sequence[Waiting]) -> None:
        failure: BaseException | None = None
        try:
            request = written(self._topic, taken)
            async with self._slots:
                await self._again.copy()(self._ask, request)
        except grpc.aio.AioRpcError as error:
            failure = self._told(error)
        except Exception as error:  # noqa: BLE001 - a caller without an answer would wait for ever
            failure = self._full(f"{type(error).__name__}: {error}")
        except asyncio.CancelledError:
            failure = self._full("the event loop ends")
            raise
        finally:
            self._held_bytes -= sum(waiting.size_bytes for waiting in taken)
            self._lane.under_way -= 1
            _settle(taken, failure)
            self._send_waiting()

    async def _ask(self, request: bytes) -> None:
        await self._call(request, timeout=REQUEST_TIMEOUT_S, metadata=self._metadata)

    def _told(self, error: grpc.aio.AioRpcError) -> QuestlineError:
        if _passes(error):
            return self._full(f"{error.code().name}: {error.details()}")
        return explained(error, f"to publish to {self._topic}")

    def _full(self, why: str) -> BrokerFull:
        return BrokerFull(self._topic, why, retry_after_s=RETRY_AFTER_S)

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        """Run beside the callers; the loop alone would forget a task that nobody holds."""
        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _all_done(answers: Sequence[asyncio.Future[None]]) -> None:
    """Wait for all, so that nothing of a publish is under way any more when it fails."""
    for failure in await asyncio.gather(*answers, return_exceptions=True):
        if failure is not None:
            raise failure


def _settle(taken: Sequence[Waiting], failure: BaseException | None) -> None:
    for _, _, answer in taken:
        if answer.done():
            continue  # its caller waits no more
        if failure is None:
            answer.set_result(None)
        else:
            answer.set_exception(failure)


def _passes(error: BaseException) -> bool:
    return isinstance(error, grpc.aio.AioRpcError) and error.code() in PASSING
