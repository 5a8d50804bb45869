"""Take a batch of events: check, drop copies, make durable, and meanwhile predict; one verdict for every event."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, TypeVar

from questline_core.broker.port import Broker, Message
from questline_core.errors import BadInput
from questline_core.events.checks import Columns, Problem, all_fine, check, columns_of, foreign
from questline_core.pb.telemetry_pb2 import Event
from questline_ingest.auth.keys import ANYONE, Caller
from questline_ingest.convert import Batch, Stamp, event_messages, reject_message
from questline_ingest.pb import ingest_pb2 as pb
from questline_ingest.predictions import ChurnPredictions, SpendPredictions
from questline_ingest.recent import Key, Known, RecentIds, Ticket, keys_of
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
    ids: Sequence[str] = ()
    """Of the events that are stored by this call."""
    claimed: Sequence[Key] = ()
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


class Begun(NamedTuple):
    """A call whose events are on their way to the broker, and whose players the models are being asked about."""

    batch: Batch
    caller: Caller
    sorting: Sorting
    storing: asyncio.Future[Refusal | None]
    predicting: asyncio.Future[tuple[dict[int, Prediction], dict[int, ChurnPrediction]]] | None


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
        self._title, self.max_batch_events = title, max_batch_events
        self.storing = Storing(broker, committed=committed)
        self.sample, self._tracing = sample, tracing
        self._stamped = ("", False, "", 0), Stamp(title="", time_micros=0, trace="")
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
        return await self.answered(self.begin(batch, trace=trace, budget=budget, caller=caller))

    def begin(
        self,
        batch: Batch,
        *,
        trace: str,
        budget: Budget,
        caller: Caller = ANYONE,
        let_go: Callable[[], None] = lambda: None,
    ) -> Begun:
        """Do without waiting what `accept` does before it waits; `answered` gives the rest, and may be left out.

        Args:
            batch: as `accept`, and `trace`, `budget`, `caller` too.
            trace: see there.
            budget: see there.
            caller: see there.
            let_go: is told once, when nothing of the call is worked on any more.

        Raises:
            BadInput: as `accept`.
        """
        self._require_size(len(batch.events))
        span = self._tracing.begin(trace, events=len(batch.events))
        try:
            sorting = self._sort(batch, span.traceparent, caller)
        except Exception as error:
            span.end(error)
            raise
        predicting = None
        # What models say of players is said to the title of this installation only.
        if batch.models and caller.title in {"", self._title}:
            predicting = asyncio.gather(*self._predict(batch, sorting, budget))

        def end(_: object = None) -> None:
            span.end()
            let_go()

        def settled() -> None:
            if predicting and not predicting.done():
                predicting.add_done_callback(end)
            else:
                end()

        return Begun(batch, caller, sorting, self._store(sorting, settled), predicting)

    async def answered(self, begun: Begun) -> Answered:
        """Wait for what was begun, and say what became of it."""
        batch, caller, sorting, storing, predicting = begun
        if not predicting:
            return Answered(await self._verdicts(batch, sorting, storing), {}, {})
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
        if events > self.max_batch_events:
            raise BadInput(
                f"the batch has {events:,} events and the gateway takes {self.max_batch_events:,} at once; split it"
            )

    def _sort(self, batch: Batch, trace: str, caller: Caller) -> Sorting:
        sorting = Sorting(ticket=asyncio.get_running_loop().create_future())
        stamp = self._stamp(caller, trace)
        columns, payloads = columns_of(batch.events), batch.payloads
        if batch.unreadable or _any_foreign(columns, caller) or not all_fine(columns, batch.events, payloads):
            self._set_aside(batch, sorting, caller, stamp)
        places = [place for place in range(len(payloads)) if place not in sorting.problems]
        claimed = self._claim(places, columns.event_id, sorting)
        if len(claimed) < len(payloads):
            columns, payloads = columns.at(claimed), [payloads[place] for place in claimed]
        try:
            sorting.messages += event_messages(columns, payloads, stamp)
        except BaseException:
            self._recent.settle(sorting.claimed, sorting.ticket, durable=False)
            raise
        return sorting

    def _stamp(self, caller: Caller, trace: str) -> Stamp:
        """Give the stamp of a call, which calls of one millisecond share."""
        now = time.time_ns() // 1000
        kind = caller.title or self._title, caller.is_test, trace, now // 1000
        if kind != self._stamped[0]:
            title, is_test, trace, _ = kind
            self._stamped = kind, Stamp(title=title, time_micros=now, trace=trace, is_test=is_test)
        return self._stamped[1]

    def _set_aside(self, batch: Batch, sorting: Sorting, caller: Caller, stamp: Stamp) -> None:
        """Find the events that break the contract, which go to the reject store."""
        for index, (event, payload) in enumerate(zip(batch.events, batch.payloads, strict=True)):
            problem = batch.unreadable.get(index) or foreign(event.title, caller.title) or check(event, payload)
            if problem:
                sorting.problems[index] = problem
                sorting.messages.append(
                    reject_message(payload, problem, event=event, caller=caller, time_micros=stamp.time_micros)
                )

    def _claim(self, places: Sequence[int], event_ids: Sequence[str], sorting: Sorting) -> Sequence[int]:
        """Claim the ids of the events at these places, and tell the places of those that this call stores."""
        if len(places) < len(event_ids):
            event_ids = [event_ids[place] for place in places]
        keys = keys_of(event_ids)
        if not self._recent.claim_all(keys, sorting.ticket):
            known = [self._recent.claim(key, sorting.ticket) for key in keys]
            new = [number for number, one in enumerate(known) if one is Known.NEW]
            for place, one in zip(places, known, strict=True):
                if one is not Known.NEW:
                    sorting.copies[place] = None if one is Known.DURABLE else one
            places, keys = [places[number] for number in new], [keys[number] for number in new]
            event_ids = [event_ids[number] for number in new]
        sorting.claimed, sorting.ids = keys, event_ids
        return places

    def _store(self, sorting: Sorting, settled: Callable[[], None]) -> asyncio.Future[Refusal | None]:
        """Publish the call's messages, all or none; the counts follow even if nobody waits for the answer."""
        done: asyncio.Future[Refusal | None] = asyncio.get_running_loop().create_future()

        def settle(refusal: Refusal | None) -> None:
            self._recent.settle(sorting.claimed, sorting.ticket, durable=refusal is None)
            self._count(sorting, refusal)
            settled()
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


def _any_foreign(columns: Columns, caller: Caller) -> bool:
    return bool(caller.title) and any(foreign(title, caller.title) for title in set(columns.title))


async def _by_index(asked: Mapping[int, Event], ask: Ask[_Prediction], budget_s: float) -> dict[int, _Prediction]:
    if not asked:
        return {}
    return dict(zip(asked, await ask(list(asked.values()), budget_s=budget_s), strict=True))
