"""One run of the client: batches out, answers in, what was refused or lost out again; all in the caller's thread."""

from __future__ import annotations

import heapq
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import count
from queue import Empty, SimpleQueue
from typing import TypeAlias

import grpc

from questline_core.errors import BadInput, NotReady
from questline_core.pb.telemetry_pb2 import Event
from questline_ingest.client.failures import is_too_large, pushback_s
from questline_ingest.pb import ingest_pb2 as pb
from questline_ingest.recent import Window, key_of

_FIRST_BACKOFF_S, _LONGEST_BACKOFF_S = 0.05, 2.0

_KNOWN_IDS = 200_000
"""Of the events of this run, to tell a copy from an event whose answer was lost; as many as a gateway knows."""

_HOPELESS = frozenset(
    {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.PERMISSION_DENIED,
    }
)
"""A resend would fail likewise."""

Call: TypeAlias = "grpc.Future[pb.SendResponse]"

OnAnswers = Callable[[Sequence[Event], Sequence[pb.Answer], int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class SendReport:
    """What became of the events: sent = accepted + duplicate + rejected."""

    sent: int = 0
    accepted: int = 0
    duplicate: int = 0
    rejected: int = 0
    refused: int = 0
    """Answers that asked for the event again; each such event was sent again."""
    recovered: int = 0
    """Of the accepted, those whose first answer was lost and whose resend was answered DUPLICATE."""

    def __add__(self, other: SendReport) -> SendReport:
        """Add the counts of two runs, or of a run and what came since."""
        names = [one.name for one in fields(self)]
        return SendReport(**{name: getattr(self, name) + getattr(other, name) for name in names})


class GaveUp(NotReady):
    """Raised when the gateway took nothing more for too long; `report` tells what it had taken."""

    def __init__(self, address: str, report: SendReport, *, after_s: float, why: str) -> None:
        super().__init__(
            f"the gateway at {address} took nothing for {after_s:g} s ({why}); {report.sent:,} events are "
            "acknowledged, the others are not: send all again when it is back, it drops copies"
        )
        self.report, self.why = report, why


@dataclass(slots=True)
class Batch:
    """Events that travel together until all have their answer."""

    events: Sequence[Event]
    since: float
    """When it was first sent, by the monotonic clock."""
    attempt: int = 0
    doubtful: bool = False
    """An answer was lost, so that its events may be durable already."""


@dataclass(order=True, slots=True)
class Waiting:
    """A batch that is sent again when it is due."""

    due: float
    number: int
    batch: Batch = field(compare=False)


class Sending:
    """Sends the batches of one run."""

    def __init__(
        self,
        start: Callable[[Sequence[Event]], Call],
        batches: Iterator[list[Event]],
        *,
        in_flight: int,
        address: str,
        give_up_after_s: float,
    ) -> None:
        self._start, self._batches, self._limit = start, batches, in_flight
        self._address, self._give_up_after_s = address, give_up_after_s
        self._answers: SimpleQueue[tuple[Batch, Call]] = SimpleQueue()
        self._calls: set[Call] = set()
        self._waiting: list[Waiting] = []
        self._numbers = count()
        self._accepted = Window(_KNOWN_IDS)
        self._last_progress = time.monotonic()
        self.report = SendReport()

    def run(self, on_progress: Callable[[SendReport], None] | None, on_answers: OnAnswers | None) -> SendReport:
        """Send everything; see `Client.send_all`."""
        try:
            while self._fill():
                batch, answers = self._receive()
                if batch and answers:
                    self._take(batch, answers)
                    if on_answers:
                        on_answers(batch.events, answers, batch.attempt)
                    if on_progress:
                        on_progress(self.report)
        finally:
            for call in self._calls:
                call.cancel()
        return self.report

    def _fill(self) -> bool:
        """Send what is due and what is new, up to the limit; False when everything has its answer."""
        while self._waiting and self._waiting[0].due <= time.monotonic():
            self._launch(heapq.heappop(self._waiting).batch)
        while len(self._calls) + len(self._waiting) < self._limit:
            events = next(self._batches, None)
            if events is None:
                break
            self._launch(Batch(events, since=time.monotonic()))
        return bool(self._calls or self._waiting)

    def _launch(self, batch: Batch) -> None:
        batch.attempt += 1
        call = self._start(batch.events)
        self._calls.add(call)
        call.add_done_callback(lambda done: self._answers.put((batch, done)))

    def _receive(self) -> tuple[Batch | None, Sequence[pb.Answer]]:
        """Wait for the next answer, or until a batch is due; nothing when the call failed or none came."""
        timeout = max(0.0, self._waiting[0].due - time.monotonic()) if self._waiting else None
        try:
            batch, call = self._answers.get(timeout=timeout)
        except Empty:
            return None, ()
        self._calls.discard(call)
        try:
            return batch, call.result().answers
        except grpc.RpcError as error:
            self._failed(batch, error)
        return None, ()

    def _take(self, batch: Batch, answers: Sequence[pb.Answer]) -> None:
        """Count the answers of a call, and put aside what was refused."""
        outcomes: Counter[str] = Counter()
        refused = []
        for event, answer in zip(batch.events, answers, strict=True):
            if answer.outcome == pb.REFUSED:
                refused.append((event, answer))
            else:
                outcomes[self._became(event, answer, doubtful=batch.doubtful)] += 1
        outcomes["accepted"] += outcomes["recovered"]
        self.report += SendReport(sent=len(answers) - len(refused), refused=len(refused), **outcomes)
        if len(refused) < len(answers):
            self._last_progress = time.monotonic()
        if refused:
            wait_s = max(answer.retry_after_ms for _, answer in refused) / 1000
            again = replace(batch, events=[event for event, _ in refused])
            self._again(again, wait_s, why=refused[0][1].problem.message)

    def _became(self, event: Event, answer: pb.Answer, *, doubtful: bool) -> str:
        """Name what became of an event; a duplicate of itself is one whose first answer was lost."""
        outcome = pb.Outcome.Name(answer.outcome).lower()
        if answer.outcome == pb.REJECTED:
            return outcome
        key = key_of(event.event_id)
        known = key in self._accepted
        if answer.outcome == pb.ACCEPTED or (doubtful and not known):
            self._accepted.add(key)
        return "recovered" if answer.outcome == pb.DUPLICATE and doubtful and not known else outcome

    def _failed(self, batch: Batch, error: grpc.RpcError) -> None:
        code, details = error.code(), error.details() or ""
        if code in _HOPELESS:
            raise BadInput(f"the gateway at {self._address} cannot take this: {details}")
        if is_too_large(error):
            self._split(batch, details)
            return
        if code is not grpc.StatusCode.RESOURCE_EXHAUSTED:
            batch.doubtful = True
        self._again(batch, pushback_s(error), why=details or code.name)

    def _split(self, batch: Batch, details: str) -> None:
        """Send a batch that is larger than the gateway's limit in halves."""
        if len(batch.events) == 1:
            event = batch.events[0]
            raise BadInput(
                f"event {event.event_id!r} takes {event.ByteSize():,} bytes, more than the gateway at "
                f"{self._address} lets in ({details}); leave it out"
            )
        middle = len(batch.events) // 2
        for events in (batch.events[:middle], batch.events[middle:]):
            self._wait(replace(batch, events=events), 0.0)

    def _again(self, batch: Batch, wait_s: float, *, why: str) -> None:
        """Send a batch again after a pause that grows with its attempts, and is as long as the gateway asks.

        Raises:
            GaveUp: nothing got through for too long.
        """
        limit_s = self._give_up_after_s
        if time.monotonic() - max(batch.since, self._last_progress) > limit_s:
            raise GaveUp(self._address, self.report, after_s=limit_s, why=why)
        backoff_s = min(_LONGEST_BACKOFF_S, _FIRST_BACKOFF_S * 2.0**batch.attempt)
        self._wait(batch, max(wait_s, backoff_s) * random.uniform(1.0, 1.2))  # noqa: S311 - spreads clients, no secret

    def _wait(self, batch: Batch, wait_s: float) -> None:
        heapq.heappush(self._waiting, Waiting(time.monotonic() + wait_s, next(self._numbers), batch))
