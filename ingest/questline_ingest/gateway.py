"""Take a batch of events: check, drop copies, make durable, and meanwhile predict; one verdict for every event."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, TypeVar

from questline_core.broker.port import Broker, Message
from questline_core.errors import BadInput
from questline_core.events.checks import Problem, check
from questline_core.pb.telemetry_pb2 import Event
from questline_ingest.auth.keys import ANYONE, Caller
from questline_ingest.convert import Batch, Stamp, event_message, reject_message
from questline_ingest.pb import ingest_pb2 as pb
from questline_ingest.predictions import ChurnPredictions, SpendPredictions
from questline_ingest.recent import Key, Known, RecentIds, Ticket, key_of
from questline_ingest.served import ServedSample
from questline_ingest.storing import Committed, Storing
from questline_ingest.tracing import Tracing
from questline_ingest.verdicts import ChurnPrediction, Outcome, Prediction, Refusal, Verdict, accepted

_Prediction = TypeVar("_Prediction")


@dataclass(slots=True)
class Counts:
    """What became of the events since the process started."""

    accepted: int = 0
    duplicate: int = 0
    rejected: int = 0
    refused: int = 0


_COPY_LOST = Refusal(
    reason="copy_refused", message="another copy of the event was being stored and was not; send it again"
)


@dataclass(slots=True, kw_only=True)
class Sorting:
    """One call, event by event: what is to be stored, and what each event's verdict hangs on."""

    ticket: Ticket
    messages: list[Message] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    """Of the events that are stored by this call."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """The longest that the predictions of one call may take, in seconds."""

    spend_s: float
    churn_s: float


class Answered(NamedTuple):
    """What is said of a batch: one verdict an event, and the predictions by the index of their event."""

    verdicts: list[Verdict]
    spends: Mapping[int, Prediction]
    churns: Mapping[int, ChurnPrediction]


class Ask(Protocol[_Prediction]):
    """Predicts for the players of events, and never raises."""

    async def __call__(self, events: Sequence[Event], *, budget_s: float) -> list[_Prediction]:
        """Give one prediction an event, in order, within the budget."""


class Gateway:
    """Events in, verdicts and predictions out. Nothing here knows gRPC."""

    def __init__(  # noqa: PLR0913 - the parts it is made of
        self,
        broker: Broker,
        recent: RecentIds,
        spend: SpendPredictions,
        churn: ChurnPredictions,
        *,
        title: str,
        max_batch_events: int,
        committed: Committed,
        sample: ServedSample,
        tracing: Tracing,
    ) -> None:
        self._recent, self._spend, self._churn = recent, spend, churn
        self._title, self._max_batch_events = title, max_batch_events
        self.storing = Storing(broker, committed=committed)
        self.sample, self._tracing = sample, tracing
        self.counts = Counts()
        self.reasons: Counter[str] = Counter()
        """Rejected and refused events by reason."""

    async def accept(self, batch: Batch, *, trace: str = "", budget: Budget, caller: Caller = ANYONE) -> Answered:
        """Answer every event of a batch, after what is accepted or rejected is durable.

        Args:
            batch: the events as they came.
            trace: the call's traceparent; empty when it brought none.
            budget: the longest that predictions may take.
            caller: whose events these are.

        Raises:
            BadInput: the batch is empty or too large.
        """
        self._require_size(len(batch.events))
        with self._tracing.call(trace, events=len(batch.events)) as kept:
            return await self._accept(batch, kept, budget, caller)

    async def _accept(self, batch: Batch, trace: str, budget: Budget, caller: Caller) -> Answered:
        sorting = self._sort(batch, trace, caller)
        storing = self._store(sorting)
        # What models say of players is said to the title of this installation only.
        if not batch.models or caller.title not in {"", self._title}:
            return Answered(await self._verdicts(batch, sorting, storing), {}, {})
        predicting = asyncio.gather(*self._predict(batch, sorting, budget))
        try:
            verdicts = await self._verdicts(batch, sorting, storing)
            spends, churns = await predicting
        finally:
            predicting.cancel()
        refused = [index for index, verdict in enumerate(verdicts) if verdict.outcome is Outcome.REFUSED]
        for index in refused:
            spends.pop(index, None)
            churns.pop(index, None)
        self.sample.note(batch.events, spends, churns, is_test=caller.is_test)
        return Answered(verdicts, spends, churns)

    async def _verdicts(self, batch: Batch, sorting: Sorting, storing: asyncio.Future[Refusal | None]) -> list[Verdict]:
        refusal = await storing
        lost = await self._wait_for_copies(sorting) if sorting.copies else ()
        if refusal or sorting.copies or sorting.problems:
            return [sorting.verdict(index, event, refusal, lost) for index, event in enumerate(batch.events)]
        return accepted(sorting.ids)

    @property
    def snapshot(self) -> str:
        """The generation of the churn snapshot that answers here; empty while none is mapped."""
        return self._churn.mapped

    async def settled(self) -> None:
        """Wait until no publish is under way, those of abandoned calls included."""
        await self.storing.settled()

    def _require_size(self, events: int) -> None:
        if not events:
            raise BadInput("the batch is empty; send at least one event")
        if events > self._max_batch_events:
            raise BadInput(
                f"the batch has {events:,} events and the gateway takes {self._max_batch_events:,} at once; split it"
            )

    def _sort(self, batch: Batch, trace: str, caller: Caller) -> Sorting:
        sorting = Sorting(ticket=asyncio.get_running_loop().create_future())
        now = time.time_ns() // 1000
        stamp = Stamp(title=caller.title or self._title, time_micros=now, trace=trace, is_test=caller.is_test)
        try:
            for index, (event, payload) in enumerate(zip(batch.events, batch.payloads, strict=True)):
                problem = batch.unreadable.get(index) or check(event, payload) or _foreign(event, caller)
                if problem:
                    sorting.problems[index] = problem
                    sorting.messages.append(
                        reject_message(payload, problem, event=event, title=caller.title, time_micros=now)
                    )
                    continue
                self._claim(index, event, payload, sorting, stamp)
        except BaseException:
            self._recent.settle(sorting.claimed, sorting.ticket, durable=False)
            raise
        return sorting

    def _claim(self, index: int, event: Event, payload: bytes, sorting: Sorting, stamp: Stamp) -> None:
        event_id = event.event_id
        key = key_of(event_id)
        known = self._recent.claim(key, sorting.ticket)
        if known is Known.NEW:
            sorting.ids.append(event_id)
            sorting.claimed.append(key)
            sorting.messages.append(event_message(event, payload, stamp))
        else:
            sorting.copies[index] = None if known is Known.DURABLE else known

    def _store(self, sorting: Sorting) -> asyncio.Future[Refusal | None]:
        """Publish the call's messages, all or none; the counts follow even if nobody waits for the answer."""
        done: asyncio.Future[Refusal | None] = asyncio.get_running_loop().create_future()

        def settle(refusal: Refusal | None) -> None:
            self._recent.settle(sorting.claimed, sorting.ticket, durable=refusal is None)
            self._count(sorting, refusal)
            if not done.done():  # else the call was abandoned
                done.set_result(refusal)

        if sorting.messages:
            self.storing.add(sorting.messages, settle)
        else:
            settle(None)
        return done

    def _count(self, sorting: Sorting, refusal: Refusal | None) -> None:
        if refusal:
            refused = len(sorting.claimed) + len(sorting.problems)
            self.counts.refused += refused
            self.reasons[refusal.reason] += refused
        else:
            self.counts.accepted += len(sorting.claimed)
            self.counts.rejected += len(sorting.problems)
            self.reasons.update(problem.reason for problem in sorting.problems.values())

    async def _wait_for_copies(self, sorting: Sorting) -> Collection[int]:
        """Wait for the publishes that store the other copies, and tell the indexes of those that were not stored."""
        lost = {i for i, holder in sorting.copies.items() if holder and not await asyncio.shield(holder)}
        self.counts.refused += len(lost)
        self.reasons[_COPY_LOST.reason] += len(lost)
        self.counts.duplicate += len(sorting.copies) - len(lost)
        return lost

    def _predict(
        self, batch: Batch, sorting: Sorting, budget: Budget
    ) -> tuple[Awaitable[dict[int, Prediction]], Awaitable[dict[int, ChurnPrediction]]]:
        """Ask all models side by side about the players of the events that keep the contract."""
        asked = {i: event for i, event in enumerate(batch.events) if i not in sorting.problems}
        for event in asked.values():
            event.title = event.title or self._title
        wants_spend, wants_churn = pb.SPEND in batch.models, pb.CHURN in batch.models
        return (
            _by_index(asked if wants_spend else {}, self._spend.ask, budget.spend_s),
            _by_index(asked if wants_churn else {}, self._churn.ask, budget.churn_s),
        )


def _foreign(event: Event, caller: Caller) -> Problem | None:
    """Find that an event names another title than its caller's."""
    if not caller.title or event.title in {"", caller.title}:
        return None
    return Problem(
        reason="wrong_title", field="title", message="the key is of another title; leave title empty or use its own key"
    )


async def _by_index(asked: Mapping[int, Event], ask: Ask[_Prediction], budget_s: float) -> dict[int, _Prediction]:
    if not asked:
        return {}
    return dict(zip(asked, await ask(list(asked.values()), budget_s=budget_s), strict=True))
