"""Make the calls of a plan when they are due, whether or not earlier ones are answered."""

from __future__ import annotations

import asyncio
import time

from questline_ingest.load.plan import Plan
from questline_ingest.load.record import Record
from questline_ingest.load.source import Source
from questline_ingest.load.target import CallFailed, Target

_SOON_S = 0.0005
"""Calls that are due within this are made at once: to sleep for less costs more than it gives."""


async def run(plan: Plan, source: Source, target: Target, *, in_flight: int) -> Record:
    """Run a plan against a target.

    A call that finds `in_flight` others without an answer waits, and its latency counts from when it was due: a gateway
    that stalls cannot hide it by stopping the generator, too.

    Args:
        plan: when calls are due.
        source: their events.
        target: where they go; each of its calls must end by itself.
        in_flight: most calls without an answer, which bounds the memory of both sides.
    """
    calls = _Calls(source, target, in_flight)
    cpu_began = time.process_time()
    async with asyncio.TaskGroup() as group:
        for due_s in plan.due_s():
            early_s = due_s - calls.now_s
            if early_s > _SOON_S:
                await asyncio.sleep(early_s)
            await calls.room.acquire()
            group.create_task(calls.make(due_s))
    record = calls.record
    record.wall_s, record.cpu_s = calls.now_s, time.process_time() - cpu_began
    return record


class _Calls:
    def __init__(self, source: Source, target: Target, in_flight: int) -> None:
        self._source, self._target = source, target
        self._began = time.perf_counter()
        self.record, self.room = Record(), asyncio.Semaphore(in_flight)

    @property
    def now_s(self) -> float:
        return time.perf_counter() - self._began

    async def make(self, due_s: float) -> None:
        record = self.record
        try:
            events = self._source.call()
            record.events += len(events)
            record.late_s = max(record.late_s, self.now_s - due_s)
            answered = await self._target.send(events)
            record.outcomes.update(answered.outcomes)
            record.why_rejected = record.why_rejected or answered.why_rejected
            record.predictions.update(answered.predictions)
        except CallFailed as failed:
            record.failures[str(failed)] += 1
        finally:
            self.room.release()
            record.ended(due_s, self.now_s - due_s)
