"""What an answer costs the serving process: rows by core-second, calls by core-second, and the wait at 100 calls a second.

    python tests/benchmarks/bench_serving.py [VERSION_FOLDER]

Without a folder it serves a spend model that learned from random rows. Beside it stands what gRPC alone costs: a plain grpc.aio
server that reads nothing and answers as many bytes. Costs are CPU seconds of the process, which on a machine that has other things
to do rise by half and more; the ratio to the plain server holds. Waits hold on a quiet machine only.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import grpc
import numpy as np
import psutil
import uvloop
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub

from questline_core.stack.children import free_ports
from questline_core.testing.spend_models import publish_random_model
from questline_kserve.testing.process import ServingProcess

ROWS, AT_ONCE = 128, 4
ROWS_BAR, CALLS_BAR, P50_BAR_MS = 100_000, 3_000, 1.5
MEASURED_S, RATE = 8.0, 100


def main() -> None:
    with TemporaryDirectory() as folder:
        home = Path(folder, "home")
        home.mkdir()
        rest_port, grpc_port = free_ports(2)
        serving = ServingProcess(home, rest_port, grpc_port)
        version = Path(
            sys.argv[1] if len(sys.argv) > 1 else publish_random_model(Path(folder), store=folder).uri
        ).resolve()
        serving.start()
        try:
            serving.wait_until_ready()
            status = serving.deploy(version)
            if not status.ready:
                sys.exit(status.message)
            measure(serving, json.loads((version / "model.json").read_text(encoding="utf-8"))["signature"]["inputs"])
        finally:
            serving.kill()


def measure(serving: ServingProcess, inputs: dict[str, str]) -> None:
    with grpc.insecure_channel(serving.grpc_address) as channel:
        ask = GRPCInferenceServiceStub(channel).ModelInfer
        for raw in (True, False):
            kind = "raw tensors" if raw else "typed contents"
            for rows, bar in ((ROWS, ROWS_BAR), (1, CALLS_BAR)):
                asked = request(inputs, rows, raw=raw)
                calls, cpu_s, wall_s = closed_loop(serving.pid, partial(ask, asked, timeout=30))
                what, each_us = "rows" if rows > 1 else "calls", cpu_s / calls * 1e6
                with plain_server(ask(asked, timeout=30).SerializeToString()) as (pid, plain):
                    plain_calls, plain_cpu_s, _ = closed_loop(pid, partial(plain, asked, timeout=30))
                plain_us = plain_cpu_s / plain_calls * 1e6
                print(
                    f"{calls * rows / cpu_s:>10,.0f} {what}/core-s at {rows} rows a call, {kind} (bar {bar:,}); "
                    f"{each_us:,.0f} µs a call, {each_us / plain_us:.1f} times plain gRPC's {plain_us:,.0f}; "
                    f"{cpu_s / wall_s:.2f} cores"
                )
        waits = open_loop(lambda: ask(request(inputs, 1, raw=True), timeout=30))
        p50, p99 = (waits[int(len(waits) * part)] * 1000 for part in (0.5, 0.99))
        print(f"{p50:>10.2f} ms p50, {p99:.1f} ms p99 at {RATE} calls/s (bar p50 {P50_BAR_MS} ms, on a quiet machine)")


def request(inputs: dict[str, str], rows: int, *, raw: bool) -> pb.ModelInferRequest:
    made = pb.ModelInferRequest(model_name="spend")
    for name, kind in inputs.items():
        tensor = made.inputs.add(name=name, datatype=kind, shape=[rows])
        if kind == "FP32":
            numbers = np.arange(rows, dtype=np.float32)
            made.raw_input_contents.append(numbers.tobytes()) if raw else tensor.contents.fp32_contents.extend(numbers)
        elif raw:
            made.raw_input_contents.append((b"\x02\0\0\0NL") * rows)
        else:
            tensor.contents.bytes_contents.extend([b"NL"] * rows)
    return made


@contextmanager
def plain_server(answer: bytes) -> Iterator[tuple[int, Callable[..., object]]]:
    """Run a server that gives one answer to everything; yields its pid and what asks it."""
    (port,) = free_ports(1)
    address = f"127.0.0.1:{port}"
    server = get_context("spawn").Process(target=answer_always, args=(address, answer), daemon=True)
    server.start()
    try:
        with grpc.insecure_channel(address) as channel:
            ask = GRPCInferenceServiceStub(channel).ModelInfer
            ask(pb.ModelInferRequest(), timeout=60, wait_for_ready=True)
            yield server.pid or 0, ask
    finally:
        server.kill()


def answer_always(address: str, answer: bytes) -> None:
    async def infer(_: bytes, __: object) -> bytes:
        return answer

    async def serve() -> None:
        server = grpc.aio.server()
        method = {"ModelInfer": grpc.unary_unary_rpc_method_handler(infer)}
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler("inference.GRPCInferenceService", method),)
        )
        server.add_insecure_port(address)
        await server.start()
        await asyncio.Event().wait()

    uvloop.run(serve())


def closed_loop(pid: int, ask: Callable[[], object]) -> tuple[int, float, float]:
    """Ask from a few threads without a pause; give calls, CPU seconds of the process, and seconds."""
    process, ends = psutil.Process(pid), time.monotonic() + MEASURED_S

    def loop(_: int) -> int:
        calls = 0
        while time.monotonic() < ends:
            ask()
            calls += 1
        return calls

    before, began = process.cpu_times(), time.monotonic()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        calls = sum(pool.map(loop, range(AT_ONCE)))
    after = process.cpu_times()
    return calls, after.user + after.system - before.user - before.system, time.monotonic() - began


def open_loop(ask: Callable[[], object]) -> list[float]:
    """Ask at a steady rate and give the waits, sorted."""
    began, waits = time.monotonic(), []
    for number in range(int(MEASURED_S * RATE)):
        time.sleep(max(0.0, began + number / RATE - time.monotonic()))
        asked_at = time.perf_counter()
        ask()
        waits.append(time.perf_counter() - asked_at)
    return sorted(waits)


if __name__ == "__main__":
    main()
