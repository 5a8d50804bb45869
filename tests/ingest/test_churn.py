from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING

import grpc
import pyarrow as pa
import pytest

from questline_core.lookup import signing_key
from questline_core.lookup.publish import SCHEMA, Terms, publish
from questline_core.pb.telemetry_pb2 import Event
from questline_core.testing.memory_broker import MemoryBroker
from questline_ingest.pb import ingest_pb2 as pb
from questline_ingest.pb.ingest_pb2_grpc import IngestStub
from questline_ingest.pb.open_inference_pb2 import ModelInferRequest, ModelInferResponse
from questline_ingest.settings import GatewaySettings
from questline_ingest.testing import ModelServer, an_answer, an_event, asked_texts, serving

if TYPE_CHECKING:
    from questline_ingest.pb.ingest_pb2_grpc import IngestAsyncStub


def asking(*players: str, models: tuple[pb.Model.ValueType, ...] = (pb.CHURN,)) -> pb.SendRequest:
    return pb.SendRequest(events=[an_event(user_pseudo_id=player) for player in players], predict=models)


def published(settings: GatewaySettings, **players: float) -> str:
    rows = [dict(zip(SCHEMA.names, (name, p, "trees", None, None), strict=True)) for name, p in players.items()]
    batch = pa.RecordBatch.from_pylist(rows, schema=SCHEMA)
    terms = Terms(prior=0.125, threshold=0.4, lineage={"model": "trees"})
    return publish(settings.paths.lookup, [batch], terms, key=signing_key(settings)).generation


def as_lookup(request: ModelInferRequest) -> ModelInferResponse:
    """Answer as kserve's lookup does, and the spend model as ever."""
    if request.model_name == "spend":
        return an_answer(request)
    players = asked_texts(request, request.inputs[0].name)
    response = ModelInferResponse(model_name="churn")
    probability = response.outputs.add(name="probability", datatype="FP32", shape=[len(players)])
    probability.contents.fp32_contents.extend(0.75 if player == "ann" else 0.25 for player in players)
    for name, texts in (
        ("source", ["trees" if player == "ann" else "unknown" for player in players]),
        ("generation", ["g000007"] * len(players)),
    ):
        output = response.outputs.add(name=name, datatype="BYTES", shape=[len(players)])
        output.contents.bytes_contents.extend(text.encode() for text in texts)
    return response


def as_raw(request: ModelInferRequest) -> ModelInferResponse:
    response = as_lookup(request)
    for output in response.outputs:
        if output.datatype == "FP32":
            raw = struct.pack(f"<{len(output.contents.fp32_contents)}f", *output.contents.fp32_contents)
        else:
            raw = b"".join(len(text).to_bytes(4, "little") + text for text in output.contents.bytes_contents)
        response.raw_output_contents.append(raw)
        output.ClearField("contents")
    return response


async def test_a_snapshot_at_hand_answers_and_nobody_else_is_asked(
    settings: GatewaySettings, broker: MemoryBroker, model: ModelServer
) -> None:
    generation = published(settings, ann=0.75)
    async with serving(settings, broker) as address, grpc.aio.insecure_channel(address) as channel:
        stub: IngestAsyncStub = IngestStub(channel)
        ann, stranger = await until_answered(stub, generation)

    assert (ann.probability, ann.model, ann.is_prior, ann.source) == (0.75, "trees", False, pb.FRESH)
    assert (stranger.probability, stranger.model, stranger.is_prior) == (0.125, "", True)
    assert {request.model_name for request in model.asked} <= {"churn"}


async def test_a_new_generation_answers_without_a_restart(settings: GatewaySettings, broker: MemoryBroker) -> None:
    quick = settings.model_copy(update={"churn_refresh_s": 0.05})
    published(settings, ann=0.75)
    async with serving(quick, broker) as address, grpc.aio.insecure_channel(address) as channel:
        stub: IngestAsyncStub = IngestStub(channel)
        ann, _ = await until_answered(stub, published(settings, ann=0.5))

    assert ann.probability == 0.5


async def until_answered(stub: IngestAsyncStub, generation: str) -> list[pb.ChurnPrediction]:
    """Ask about ann and a stranger until this generation answers."""
    async with asyncio.timeout(10):
        while True:
            churns = [answer.churn for answer in (await stub.Send(asking("ann", "stranger"))).answers]
            if churns[0].generation == generation:
                return churns
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("answer", [as_lookup, as_raw])
async def test_without_a_snapshot_the_server_is_asked(
    settings: GatewaySettings,
    broker: MemoryBroker,
    model: ModelServer,
    answer: Callable[[ModelInferRequest], ModelInferResponse],
) -> None:
    model.answer = answer
    remote = settings.model_copy(update={"churn_address": model.address, "churn_timeout_s": 5.0})
    async with serving(remote, broker) as address, grpc.aio.insecure_channel(address) as channel:
        stub: IngestAsyncStub = IngestStub(channel)
        ann, bob = [answer.churn for answer in (await stub.Send(asking("ann", "bob"))).answers]

    assert (ann.probability, ann.model, ann.generation, ann.is_prior) == (0.75, "trees", "g000007", False)
    assert (bob.probability, bob.model, bob.is_prior, bob.source) == (0.25, "", True, pb.FRESH)


async def test_both_models_are_asked_side_by_side(
    settings: GatewaySettings, broker: MemoryBroker, model: ModelServer
) -> None:
    model.answer, model.slow_s = as_lookup, 0.2
    both = settings.model_copy(update={"churn_address": model.address, "churn_timeout_s": 5.0, "spend_timeout_s": 5.0})
    async with serving(both, broker) as address, grpc.aio.insecure_channel(address) as channel:
        stub: IngestAsyncStub = IngestStub(channel)
        began = asyncio.get_running_loop().time()
        (answer,) = (await stub.Send(asking("ann", models=(pb.SPEND, pb.CHURN)))).answers
        took_s = asyncio.get_running_loop().time() - began

    assert (answer.spend.source, answer.churn.source) == (pb.FRESH, pb.FRESH)
    assert took_s < 0.4


def nonsense(request: ModelInferRequest) -> ModelInferResponse:
    response = as_lookup(request)
    response.outputs[0].contents.fp32_contents[:] = [7.0]
    return response


def broken(_: ModelInferRequest) -> ModelInferResponse:
    raise ValueError("the lookup is broken")


@pytest.mark.parametrize(("answer", "reason"), [(nonsense, "bad_answer"), (broken, "model_error")])
async def test_a_lookup_that_fails_costs_only_its_prediction(
    settings: GatewaySettings,
    broker: MemoryBroker,
    model: ModelServer,
    answer: Callable[[ModelInferRequest], ModelInferResponse],
    reason: str,
) -> None:
    model.answer = answer
    remote = settings.model_copy(update={"churn_address": model.address, "churn_timeout_s": 5.0, "churn_prior": 0.375})
    async with serving(remote, broker) as address, grpc.aio.insecure_channel(address) as channel:
        stub: IngestAsyncStub = IngestStub(channel)
        (told,) = (await stub.Send(asking("ann"))).answers

    assert (told.outcome, told.churn.source, told.churn.reason) == (pb.ACCEPTED, pb.DEFAULT, reason)
    assert (told.churn.probability, told.churn.is_prior) == (0.375, True)
    assert Event.FromString(broker.published[0].data).user_pseudo_id == "ann"
