"""Bring what is queued to the gateway: when a batch is due, how long to wait after a failure, what an answer means."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import grpc

from questline_core.pb.telemetry_pb2 import Event
from questline_ingest.client.clock import Clock
from questline_ingest.client.connection import Access
from questline_ingest.client.failures import is_too_large, pushback_s
from questline_ingest.client.queue import Queue, Queued
from questline_ingest.pb import ingest_pb2 as pb
from questline_ingest.pb.ingest_pb2_grpc import IngestStub

OnRejected = Callable[[Event, pb.Problem], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """When a batch goes: as soon as the first of the three is so."""

    batch_events: int = 500
    batch_bytes: int = 2**20
    every_s: float = 5.0
    """Longest that an event waits for others, in seconds."""
    call_timeout_s: float = 30.0
    first_backoff_s: float = 0.5
    """Longest pause after one failure; it doubles with each further one."""
    longest_backoff_s: float = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What became of the events that this client was given: recorded = accepted + duplicate + rejected + the rest.

    The rest waits, was dropped, or was withdrawn.
    """

    recorded: int
    withheld: int
    """Not recorded, because there was no consent."""
    accepted: int
    duplicate: int
    rejected: int
    withdrawn: int
    """Erased from the queue, because consent ended."""
    dropped: int
    """The oldest ones of a queue that was full, since its file was made."""
    waiting: int
    refused: int
    """Answers that asked for the event again."""
    failed_calls: int
    problem: str
    """Why the last call failed; empty when it did not."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Until when there is nothing to do."""

    wait_s: float | None
    """None when nothing waits."""
    must: bool = False
    """Nothing shortens it: the gateway asked for it, or a call failed."""


class Uploader:
    """Sends from a queue over one channel; `step` belongs to one thread, the rest to any."""

    def __init__(
        self, channel: grpc.Channel, access: Access, queue: Queue, pace: Pace, on_rejected: OnRejected | None
    ) -> None:
        self._stub, self._access, self._queue, self._pace = IngestStub(channel), access, queue, pace
        self._on_rejected = on_rejected
        self._lock = threading.Lock()
        self._call: grpc.Future[pb.SendResponse] | None = None
        self._most, self._failures = pace.batch_events, 0
        self.asking: dict[int, int] = {}
        """Number to bytes of the events that a call of their own carries now."""
        self.clock, self.counts, self.problem = Clock(), Counter[str](), ""

    @property
    def ready(self) -> int:
        """How many events wait for a batch."""
        return self._queue.events - len(self.asking)

    def full(self) -> bool:
        """Tell whether enough waits for a batch."""
        waiting_bytes = self._queue.size_bytes - sum(self.asking.values())
        return self.ready >= self._most or waiting_bytes >= self._pace.batch_bytes

    def step(self, *, flush: bool) -> Pause:
        """Send one batch if it is due, or whatever waits with `flush`, and tell when to come again."""
        batch = self._queue.oldest(events=self._most, size_bytes=self._pace.batch_bytes, but=set(self.asking))
        if not batch:
            return Pause(None)
        if not flush and not self.full():
            waited_s = time.time() - batch[0].added_ms / 1000
            # A clock that was set back must not hold an event for longer than a whole turn.
            early_s = self._pace.every_s - max(0.0, waited_s)
            if early_s > 0:
                return Pause(early_s)
        wait_s = self._upload(batch)
        return Pause(wait_s, must=wait_s > 0)

    def ask(self, number: int, event: Event, model: pb.Model.ValueType, *, timeout_s: float) -> pb.Answer | None:
        """Send one queued event in a call of its own, with a question; None and a `problem` when it is not answered."""
        request = pb.SendRequest(events=[event], predict=[model])
        try:
            response = self._send(request, timeout_s)
        except (grpc.RpcError, grpc.FutureCancelledError):
            return None
        self._settle([Queued(number, 0, event.SerializeToString())], response.answers)
        return response.answers[0]

    def withdraw(self) -> None:
        """Stop the batch that is on its way, as far as it still can be."""
        with self._lock:
            if self._call:
                self._call.cancel()

    def _upload(self, batch: Sequence[Queued]) -> float:
        request = pb.SendRequest(events=[Event.FromString(one.data) for one in batch])
        try:
            response = self._send(request, self._pace.call_timeout_s, withdrawable=True)
        except grpc.FutureCancelledError:
            return 0.0
        except grpc.RpcError as error:
            return self._failed(batch, error)
        advice_s = self._settle(batch, response.answers)
        if advice_s is not None:
            return self._backoff_s(advice_s)
        self._most = min(self._pace.batch_events, self._most * 2)
        self._failures = 0
        return 0.0

    def _send(self, request: pb.SendRequest, timeout_s: float, *, withdrawable: bool = False) -> pb.SendResponse:
        sent_us = time.time_ns() // 1000
        call = self._stub.Send.future(request, timeout=timeout_s, metadata=self._access.metadata)
        if withdrawable:
            with self._lock:
                self._call = call
        try:
            response = call.result()
        except grpc.RpcError as error:
            self.counts["failed_calls"] += 1
            self.problem = error.details() or error.code().name
            raise
        finally:
            if withdrawable:
                with self._lock:
                    self._call = None
        self.problem = ""
        self.clock.learn(call.trailing_metadata() or (), sent_us=sent_us, received_us=time.time_ns() // 1000)
        return response

    def _settle(self, batch: Sequence[Queued], answers: Sequence[pb.Answer]) -> float | None:
        """Forget what is answered for good; tell how long the gateway asks to wait with the rest, if there is any."""
        done, again_s = [], list[float]()
        for one, answer in zip(batch, answers, strict=True):
            self.counts[pb.Outcome.Name(answer.outcome).lower()] += 1
            if answer.outcome == pb.REFUSED:
                again_s.append(answer.retry_after_ms / 1000)
                self.problem = answer.problem.message
                continue
            done.append(one.number)
            if answer.outcome == pb.REJECTED:
                self._reject(one, answer.problem)
        self._queue.remove(done)
        return max(again_s) if again_s else None

    def _reject(self, one: Queued, problem: pb.Problem) -> None:
        if self._on_rejected:
            self._on_rejected(Event.FromString(one.data), problem)

    def _failed(self, batch: Sequence[Queued], error: grpc.RpcError) -> float:
        """Judge a call that failed as a whole, and tell how long to wait."""
        too_large = is_too_large(error)
        if not too_large and error.code() is not grpc.StatusCode.INVALID_ARGUMENT:
            return self._backoff_s(pushback_s(error))
        if len(batch) > 1:
            # One bad event must not hold the others, so ever smaller batches go until it is alone.
            self._most = len(batch) // 2
            return 0.0
        self.counts["rejected"] += 1
        self._reject(
            batch[0], pb.Problem(reason="too_large" if too_large else "malformed", message=error.details() or "")
        )
        self._queue.remove([batch[0].number])
        return 0.0

    def _backoff_s(self, advice_s: float) -> float:
        """Wait as long as the gateway asks, and a random while beside, so that not all clients come at once."""
        self._failures += 1
        top_s = min(self._pace.longest_backoff_s, self._pace.first_backoff_s * 2.0 ** min(self._failures - 1, 30))
        return advice_s + random.uniform(top_s / 2, top_s)  # noqa: S311 - spreads clients, no secret
