"""Take a batch of events: check, drop copies, make durable, and meanwhile predict; one verdict for every event."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import structlog

from questline_core.broker.port import Broker, Message
from questline_core.errors import BadInput, BrokerFull
from questline_core.events.checks import Problem, check, complete
from questline_core.pb.telemetry_pb2 import Event
from questline_ingest.convert import UNREADABLE, Batch, event_message, reject_message
from questline_ingest.predictions import Predictions
from questline_ingest.recent import Key, Known, RecentIds, Ticket, key_of
from questline_ingest.verdicts import Outcome, Prediction, Refusal, Verdict

log = structlog.get_logger()


@dataclass(slots=True)
class Counts:
    """What became of the events since the process started."""

    accepted: int = 0
    duplicate: int = 0
    rejected: int = 0
    refused: int = 0


_BROKER_FAILED = Refusal(
    reason="broker_failed", message="the event could not be stored because of an error; send it again"
)
_COPY_LOST = Refusal(
    reason="copy_refused", message="another copy of the event was being stored and was not; send it again"
)


@dataclass(slots=True, kw_only=True)
class Sorting:
    """One call, event by event: what is to be stored, and what each event's verdict hangs on."""

    ticket: Ticket
    messages: list[Message] = field(default_factory=list)
    claimed: list[Key] = field(default_factory=list)
    problems: dict[int, Problem] = field(default_factory=dict)
    """By index, the events that break the contract."""
    copies: dict[int, Ticket | None] = field(default_factory=dict)
    """By index, the events that some publish stores now (its ticket) or that are stored already (None)."""

    def verdict(self, index: int, event: Event, refusal: Refusal | None, lost: Collection[int]) -> Verdict:
        """Judge one event, once it is known what was stored."""
        if index in self.copies:
            if index not in lost:
                return Verdict(event_id=event.event_id, outcome=Outcome.DUPLICATE)
            refusal = refusal or _COPY_LOST
        if refusal:
            return Verdict(event_id=event.event_id, outcome=Outcome.REFUSED, refusal=refusal)
        problem = self.problems.get(index)
        outcome = Outcome.REJECTED if problem else Outcome.ACCEPTED
        return Verdict(event_id=event.event_id, outcome=outcome, problem=problem)


class Gateway:
    """Events in, verdicts and predictions out. Nothing here knows gRPC."""

    def __init__(
        self, broker: Broker, recent: RecentIds, predictions: Predictions, *, title: str, max_batch_events: int
    ) -> None:
        self._broker, self._recent, self._predictions = broker, recent, predictions
        self._title, self._max_batch_events = title, max_batch_events
        self._storing: set[asyncio.Task[Refusal | None]] = set()
        self.counts = Counts()

    async def accept(
        self, batch: Batch, *, trace: str = "", budget_s: float
    ) -> tuple[list[Verdict], Mapping[int, Prediction]]:
        """Answer every event of a batch, after what is accepted or rejected is durable.

        Args:
            batch: the events as they came.
            trace: the call's traceparent; empty when it brought none.
            budget_s: the longest that predictions may take, in seconds.

        Returns:
            One verdict an event, and the predictions by the index of their event.

        Raises:
            BadInput: the batch is empty or too large.
        """
        self._require_size(len(batch.events))
        sorting = self._sort(batch, trace)
        storing = self._store(sorting)
        predicting = asyncio.create_task(self._predict(batch, sorting, budget_s))
        try:
            # A call that is abandoned does not take its publish with it: its ids are settled either way.
            refusal = await asyncio.shield(storing)
            lost = await self._wait_for_copies(sorting)
            predicted = await predicting
        finally:
            predicting.cancel()
        verdicts = [sorting.verdict(index, event, refusal, lost) for index, event in enumerate(batch.events)]
        return verdicts, {i: p for i, p in predicted.items() if verdicts[i].outcome is not Outcome.REFUSED}

    async def settled(self) -> None:
        """Wait until no publish is under way, those of abandoned calls included."""
        while self._storing:
            await asyncio.wait(self._storing)

    def _require_size(self, events: int) -> None:
        if not events:
            raise BadInput("the batch is empty; send at least one event")
        if events > self._max_batch_events:
            raise BadInput(
                f"the batch has {events:,} events and the gateway takes {self._max_batch_events:,} at once; split it"
            )

    def _sort(self, batch: Batch, trace: str) -> Sorting:
        sorting = Sorting(ticket=asyncio.get_running_loop().create_future())
        now = time.time_ns() // 1000
        try:
            for index, event in enumerate(batch.events):
                problem = UNREADABLE if index in batch.unreadable else check(event)
                if problem:
                    sorting.problems[index] = problem
                    continue
                complete(event, title=self._title, received_time=now)
                if trace:
                    event.trace = trace
                self._claim(index, event, sorting, now)
            self._keep_rejects(batch, sorting, now)
        except BaseException:
            self._recent.settle(sorting.claimed, sorting.ticket, durable=False)
            raise
        return sorting

    def _claim(self, index: int, event: Event, sorting: Sorting, now: int) -> None:
        key = key_of(event.event_id)
        known = self._recent.claim(key, sorting.ticket)
        if known is Known.NEW:
            sorting.claimed.append(key)
            sorting.messages.append(event_message(event, time_micros=now))
        else:
            sorting.copies[index] = None if known is Known.DURABLE else known

    def _keep_rejects(self, batch: Batch, sorting: Sorting, now: int) -> None:
        payloads = batch.payloads() if sorting.problems else []
        for index, problem in sorting.problems.items():
            event = batch.events[index]
            sorting.messages.append(reject_message(payloads[index], problem, event=event, time_micros=now))

    def _store(self, sorting: Sorting) -> asyncio.Task[Refusal | None]:
        task = asyncio.create_task(self._publish(sorting))
        self._storing.add(task)
        task.add_done_callback(self._storing.discard)
        return task

    async def _publish(self, sorting: Sorting) -> Refusal | None:
        """Make the call's messages durable, all or none; the counts follow even if nobody waits for the answer."""
        refusal: Refusal | None = _BROKER_FAILED
        try:
            if sorting.messages:
                await self._broker.publish(sorting.messages)
            refusal = None
        except BrokerFull as full:
            refusal = Refusal(reason="spool_full", message=str(full), retry_after_s=full.retry_after_s)
        except Exception:
            log.exception("publish failed", messages=len(sorting.messages))
        finally:
            self._recent.settle(sorting.claimed, sorting.ticket, durable=refusal is None)
            self._count(sorting, refusal)
        return refusal

    def _count(self, sorting: Sorting, refusal: Refusal | None) -> None:
        if refusal:
            self.counts.refused += len(sorting.claimed) + len(sorting.problems)
        else:
            self.counts.accepted += len(sorting.claimed)
            self.counts.rejected += len(sorting.problems)

    async def _wait_for_copies(self, sorting: Sorting) -> Collection[int]:
        """Wait for the publishes that store the other copies, and tell the indexes of those that were not stored."""
        lost = {i for i, holder in sorting.copies.items() if holder and not await asyncio.shield(holder)}
        self.counts.refused += len(lost)
        self.counts.duplicate += len(sorting.copies) - len(lost)
        return lost

    async def _predict(self, batch: Batch, sorting: Sorting, budget_s: float) -> Mapping[int, Prediction]:
        if not batch.wants_spend:
            return {}
        asked = {i: event for i, event in enumerate(batch.events) if i not in sorting.problems}
        if not asked:
            return {}
        return dict(zip(asked, await self._predictions.ask(list(asked.values()), budget_s=budget_s), strict=True))
