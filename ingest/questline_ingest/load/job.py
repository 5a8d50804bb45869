"""One run of the load generator, in this process or shared out over several."""

from __future__ import annotations

import multiprocessing
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from typing import Literal

import uvloop

from questline_core.errors import NotReady
from questline_ingest.client import Access
from questline_ingest.load.grpc_target import GrpcTarget, StreamTarget
from questline_ingest.load.http_target import HttpTarget
from questline_ingest.load.plan import Plan
from questline_ingest.load.record import Record
from questline_ingest.load.run import run
from questline_ingest.load.source import Marks, Source
from questline_ingest.pb import ingest_pb2 as pb

_UNREACHABLE = "UNAVAILABLE"

Door = Literal["grpc", "stream", "http"]

_DOORS: Mapping[Door, type[GrpcTarget | HttpTarget]] = {"grpc": GrpcTarget, "stream": StreamTarget, "http": HttpTarget}


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Everything that a process needs to make its part of a load."""

    plan: Plan
    pool: Sequence[bytes]
    """Serialized events, taken in turns."""
    marks: Marks
    per_call: int
    """Events in a call."""
    address: str
    access: Access
    predict: Sequence[pb.Model.ValueType]
    """Models to ask with every event."""
    in_flight: int
    """Most calls without an answer, of all processes together."""
    timeout_s: float
    """Of one call."""
    door: Door = "grpc"
    """`stream` sends all calls of a process over one stream, `http` sends JSON."""

    def share(self, processes: int) -> Job:
        """Give the part of one of several processes."""
        return replace(self, plan=self.plan.share(processes), in_flight=max(1, self.in_flight // processes))


def run_job(job: Job, *, processes: int = 1) -> Record:
    """Make the calls of a job, and put what became of them together.

    Raises:
        NotReady: not one call was answered, because nobody answers at the address.
    """
    if processes == 1:
        record = _run_here(job)
    else:
        record = Record()
        # gRPC does not live through a fork.
        with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
            for part in pool.map(_run_here, [job.share(processes)] * processes):
                record.add(part)
    if record.calls and record.failures[_UNREACHABLE] == record.calls:
        raise NotReady(f"no gateway answers at {job.address}; start one with `questline up`, or name another --address")
    return record


def _run_here(job: Job) -> Record:
    return uvloop.run(_run(job))


async def _run(job: Job) -> Record:
    source = Source(job.pool, job.marks, per_call=job.per_call)
    async with _DOORS[job.door](job.address, job.access, predict=job.predict, timeout_s=job.timeout_s) as target:
        return await run(job.plan, source, target, in_flight=job.in_flight)
