"""What tests of this room build on: events, a model server that does as it is told, a gateway in any process."""

from __future__ import annotations

import asyncio
import signal
import struct
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import grpc

from questline_core.broker.port import Broker
from questline_core.errors import NotReady
from questline_core.pb.telemetry_pb2 import Event
from questline_core.processes import read_ready
from questline_core.stack.supervisor import questline_command
from questline_core.testing.oracle import Oracle
from questline_ingest.client import Client, SendReport
from questline_ingest.metrics import Metrics
from questline_ingest.open_inference import INFER, cut_texts
from questline_ingest.pb import ingest_pb2 as pb
from questline_ingest.pb.open_inference_pb2 import ModelInferRequest, ModelInferResponse
from questline_ingest.server import PROCESS, Addresses, opened_gateway, running
from questline_ingest.settings import GatewaySettings
from questline_ingest.spend import OUTPUTS

_Context = grpc.aio.ServicerContext[ModelInferRequest, ModelInferResponse]
_numbers = count()


def an_event(event_id: str | None = None, **fields: Any) -> Event:
    """Make an event that keeps the contract, with an id of its own unless one is given."""
    given: dict[str, Any] = {
        "event_name": "level_end",
        "event_timestamp": 1_800_000_000_000_000,
        "user_pseudo_id": "player-1",
    } | fields
    return Event(event_id=event_id or f"event-{next(_numbers)}", **given)


def asked_numbers(request: ModelInferRequest, name: str) -> list[float]:
    """Read a packed input of numbers."""
    raw = _packed(request, name)
    return list(struct.unpack(f"<{len(raw) // 4}f", raw))


def asked_texts(request: ModelInferRequest, name: str) -> list[str]:
    """Read a packed input of texts, each behind its length."""
    return [text.decode() for text in cut_texts(_packed(request, name), name)]


def _packed(request: ModelInferRequest, name: str) -> bytes:
    return request.raw_input_contents[[tensor.name for tensor in request.inputs].index(name)]


def an_answer(request: ModelInferRequest, *, revision: str = "v1", **columns: list[float]) -> ModelInferResponse:
    """Answer a request as the spend model does: row i has value i, bounds i - 1 and i + 1, probability 0.5."""
    rows = request.inputs[0].shape[0]
    usual = {"value": range(rows), "lower_bound": range(-1, rows - 1), "upper_bound": range(1, rows + 1)}
    response = ModelInferResponse(model_name=request.model_name, model_version=revision)
    for name in OUTPUTS:
        numbers = columns.get(name, list(usual.get(name, [0.5] * rows)))
        output = response.outputs.add(name=name, datatype="FP32", shape=[len(numbers)])
        output.contents.fp32_contents.extend(numbers)
    return response


class ModelServer:
    """A V2 gRPC server on a free port.

    Attributes:
        asked: every request so far.
        answer: makes the response of a request; raising from it is an error of the model.
        slow_s: how long an answer takes, in seconds.
        fails_with: the status with which questions end; None while they are answered.
    """

    def __init__(self) -> None:
        self.asked: list[ModelInferRequest] = []
        self.answer: Callable[[ModelInferRequest], ModelInferResponse] = an_answer
        self.slow_s = 0.0
        self.fails_with: grpc.StatusCode | None = None
        self.address = "127.0.0.1:0"
        self._server: grpc.aio.Server | None = None

    async def start(self) -> None:
        """Listen, at the address of the time before if there was one."""
        service, method = INFER.strip("/").split("/")
        self._server = grpc.aio.server()
        handler = grpc.unary_unary_rpc_method_handler(
            self._infer,
            request_deserializer=ModelInferRequest.FromString,
            response_serializer=ModelInferResponse.SerializeToString,
        )
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {method: handler}),))
        self.address = f"127.0.0.1:{self._server.add_insecure_port(self.address)}"
        await self._server.start()

    async def stop(self) -> None:
        """Die at once."""
        if self._server:
            await self._server.stop(None)

    async def _infer(self, request: ModelInferRequest, context: _Context) -> ModelInferResponse:
        self.asked.append(request)
        await asyncio.sleep(self.slow_s)
        if self.fails_with:
            await context.abort(self.fails_with, "as told")
        return self.answer(request)


@asynccontextmanager
async def serving(settings: GatewaySettings, broker: Broker) -> AsyncIterator[str]:
    """Run a gateway over this broker in this process, and yield its address."""
    async with serving_all(settings, broker) as at:
        yield at.grpc


@asynccontextmanager
async def serving_all(settings: GatewaySettings, broker: Broker) -> AsyncIterator[Addresses]:
    """Run a gateway as `serving` does, and yield all its addresses."""
    metrics = Metrics()
    async with opened_gateway(settings, broker, metrics) as gateway, running(gateway, settings, metrics) as at:
        yield at


async def until(met: Callable[[], bool], *, timeout_s: float = 10.0) -> None:
    """Wait until something is so.

    Raises:
        TimeoutError: it is not so in time.
    """
    async with asyncio.timeout(timeout_s):
        while not met():  # noqa: ASYNC110 - what is waited for knows nothing of events
            await asyncio.sleep(0.01)


class GatewayProcess:
    """`questline gateway serve` as a process of its own, with what it printed to standard error in `log`."""

    def __init__(self, home: Path, listen: str, **settings: str) -> None:
        self._home, self.listen, self.log = home, listen, home / "gateway.log"
        home.mkdir(parents=True, exist_ok=True)
        environment = {"QUESTLINE_HOME": str(home), "QUESTLINE_LISTEN": listen, **settings}
        with self.log.open("a") as log:
            self._child = subprocess.Popen(questline_command("gateway", "serve"), env=environment, stderr=log)

    def wait_ready(self, *, timeout_s: float = 30.0) -> None:
        """Wait until the process says that it is ready.

        Raises:
            NotReady: it ended, or is not ready in time.
        """
        deadline = time.monotonic() + timeout_s
        while (facts := read_ready(self._home / "run", PROCESS)) is None or facts["pid"] != self._child.pid:
            if self._child.poll() is not None or time.monotonic() > deadline:
                raise NotReady(f"the gateway is not ready: {self.log.read_text(encoding='utf-8')}")
            time.sleep(0.02)

    def end(self, number: int, *, timeout_s: float = 30.0) -> int:
        """Send a signal, wait for the end, and return the exit code."""
        self._child.send_signal(number)
        return self._child.wait(timeout_s)

    def close(self) -> None:
        """Leave no process behind."""
        if self._child.poll() is None:
            self.end(signal.SIGKILL)


class Sender(threading.Thread):
    """Sends all events of an oracle, and knows what was acknowledged.

    Attributes:
        begun: events that were handed to the client.
        acknowledged: events that were answered as stored.
        recovered: events that were stored already when they were sent again.
        report: what the client reported at its end; None until then.
    """

    def __init__(self, oracle: Oracle, listen: str, **options: Any) -> None:
        """Take the address of a gateway, and options of the client."""
        super().__init__(daemon=True)
        self.oracle, self._listen, self._options = oracle, listen, options
        self.begun = self.acknowledged = self.recovered = 0
        self.report: SendReport | None = None

    def run(self) -> None:
        """Send, as the thread."""
        with Client(self._listen, in_flight=8, **self._options) as client:
            self.report = client.send_all(self._events(), on_answers=self._note, on_progress=self._progress)

    def _events(self) -> Iterator[Event]:
        for event in self.oracle.sent():
            self.begun += 1
            yield event

    def _note(self, _events: Sequence[Event], answers: Sequence[pb.Answer], _attempt: int) -> None:
        self.acknowledged += sum(answer.outcome in {pb.ACCEPTED, pb.DUPLICATE} for answer in answers)

    def _progress(self, report: SendReport) -> None:
        self.recovered = report.recovered
