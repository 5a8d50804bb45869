"""Note some of the answers that clients were given, with what the models were asked; no call ever waits for it.

Which answers is decided by a hash of the event id, so a call that is sent again is noted alike, and so is each event on
every gateway. What cannot be noted at once is dropped and counted.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import NamedTuple

import structlog

from questline_core.broker.port import SERVED, Broker, Message
from questline_core.pb.broker_pb2 import Feature, Served
from questline_core.pb.telemetry_pb2 import Event
from questline_ingest.verdicts import ChurnPrediction, Prediction

MOST_WAITING = 2_000
"""Answers kept at once, at about 3 kB each; those beyond are dropped."""
EVERY_S = 0.5
_AT_ONCE = 50  # written between two looks at what else the process has to do
_LAST_CHANCE_S = 2.0

log = structlog.get_logger()


class _Answer(NamedTuple):
    """What is noted of one answer; no event is held for it."""

    event_id: str
    player: str
    title: str
    event_name: str
    event_timestamp: int
    is_test: bool
    given_micros: int
    given: Prediction | ChurnPrediction


class ServedSample:
    """The answers of one process that wait to be noted."""

    def __init__(self, broker: Broker, *, share: float) -> None:
        """Note this share of the answers, 0 to 1."""
        self._broker, self._least = broker, share * 2**64
        self._waiting: deque[_Answer] = deque()
        self.counts: Counter[str] = Counter(noted=0, dropped=0)
        """Answers by what became of them: noted (durable), dropped (too many waited, or the broker would not)."""

    def note(
        self,
        events: Sequence[Event],
        *given: Mapping[int, Prediction] | Mapping[int, ChurnPrediction],
        is_test: bool,
    ) -> None:
        """Take the answers of a call by the index of their event; costs a hash for each, and waits for nothing."""
        now = time.time_ns() // 1000
        for index in dict.fromkeys(index for answers in given for index in answers) if self._least else ():
            event = events[index]
            if _place(event.event_id) >= self._least:
                continue
            own = [answers[index] for answers in given if index in answers]
            if len(self._waiting) + len(own) > MOST_WAITING:
                self.counts["dropped"] += len(own)
                continue
            self._waiting.extend(
                _Answer(
                    event.event_id,
                    event.user_pseudo_id,
                    event.title,
                    event.event_name,
                    event.event_timestamp,
                    is_test or event.is_test,
                    now,
                    one,
                )
                for one in own
            )

    async def follow(self) -> None:
        """Hand what waits to the broker, twice a second."""
        while True:
            await asyncio.sleep(EVERY_S)
            await self.flush()

    async def flush(self) -> None:
        """Hand to the broker what waits now; what it does not take is dropped."""
        taken = [self._waiting.popleft() for _ in range(len(self._waiting))]
        kept = False
        try:
            if messages := [message async for message in _messages(taken)]:
                await self._broker.publish(messages)
            kept = True
        except Exception as error:  # noqa: BLE001 - a sample must not disturb anything
            log.warning("answers not noted", answers=len(taken), reason=f"{type(error).__name__}: {error}")
        finally:
            self.counts["noted" if kept else "dropped"] += len(taken)


@asynccontextmanager
async def open_served(broker: Broker, *, share: float) -> AsyncIterator[ServedSample]:
    """Note answers until the block ends, and then what still waits."""
    sample = ServedSample(broker, share=share)
    following = asyncio.create_task(sample.follow())
    try:
        yield sample
    finally:
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following
        with suppress(TimeoutError):
            async with asyncio.timeout(_LAST_CHANCE_S):
                await sample.flush()


def _place(event_id: str) -> int:
    """Give an event its place among all, below 2**64; the examples are drawn by the same hash."""
    digest = hashlib.md5(event_id.encode(), usedforsecurity=False).digest()
    return int.from_bytes(digest[:8], "big")


async def _messages(answers: Sequence[_Answer]) -> AsyncIterator[Message]:
    for start in range(0, len(answers), _AT_ONCE):
        await asyncio.sleep(0)
        for answer in answers[start : start + _AT_ONCE]:
            yield _message(answer)


def _message(answer: _Answer) -> Message:
    served = _spend(answer.given) if isinstance(answer.given, Prediction) else _churn(answer.given)
    served.MergeFrom(
        Served(
            prediction_id=f"{answer.event_id}/{served.model}",
            event_id=answer.event_id,
            user_pseudo_id=answer.player,
            title=answer.title,
            event_name=answer.event_name,
            event_timestamp=answer.event_timestamp,
            is_test=answer.is_test,
            served_time=answer.given_micros,
            source=answer.given.source.name,
            reason=answer.given.reason,
        )
    )
    attributes = {
        "kind": SERVED,
        "id": answer.event_id,
        "name": served.model,
        "time": str(answer.given_micros // 1000),
        "trace": "",
    }
    return Message(served.SerializeToString(), attributes)


def _spend(given: Prediction) -> Served:
    spend = given.spend
    return Served(
        model="spend",
        revision=spend.revision,
        value=spend.value,
        lower_bound=spend.lower_bound,
        upper_bound=spend.upper_bound,
        probability=spend.probability,
        features=[_feature(name, value) for name, value in (given.inputs or {}).items()],
    )


def _churn(given: ChurnPrediction) -> Served:
    churn = given.churn
    return Served(model="churn", revision=churn.generation, value=churn.probability, probability=churn.probability)


def _feature(name: str, value: float | str) -> Feature:
    if isinstance(value, str):
        return Feature(name=name, text=value)
    return Feature(name=name, number=None if math.isnan(value) else value)
