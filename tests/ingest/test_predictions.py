from __future__ import annotations

import asyncio
import math
import struct
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import grpc
import pytest
from structlog.testing import capture_logs

from questline_core.errors import BrokerFull
from questline_core.features.online import NUMBERS, TEXTS
from questline_core.features.state import PlayerState
from questline_core.features.store import open_writer
from questline_core.pb.telemetry_pb2 import Event
from questline_core.testing.memory_broker import MemoryBroker
from questline_ingest.open_inference import ModelUnavailable, Row
from questline_ingest.pb import ingest_pb2 as pb
from questline_ingest.pb.ingest_pb2_grpc import IngestStub
from questline_ingest.pb.open_inference_pb2 import ModelInferRequest, ModelInferResponse
from questline_ingest.predictions import LastAnswers, SpendPredictions
from questline_ingest.router import open_router
from questline_ingest.settings import GatewaySettings, Prior
from questline_ingest.testing import ModelServer, an_answer, an_event, asked_numbers, asked_texts, serving
from questline_ingest.verdicts import Spend

if TYPE_CHECKING:
    from questline_ingest.pb.ingest_pb2_grpc import IngestAsyncStub

PRIOR = Prior(value=3, lower_bound=0, upper_bound=40, probability=0.25)


@pytest.fixture
def settings(settings: GatewaySettings) -> GatewaySettings:
    return settings.model_copy(update={"spend_prior": PRIOR})


def asking(*events: Event) -> pb.SendRequest:
    return pb.SendRequest(events=events, predict=[pb.SPEND])


def broken(_: ModelInferRequest) -> ModelInferResponse:
    raise ValueError("the model is broken")


def raw_floats(request: ModelInferRequest) -> ModelInferResponse:
    response = an_answer(request)
    response.raw_output_contents.extend(
        struct.pack(f"<{len(output.contents.fp32_contents)}f", *output.contents.fp32_contents)
        for output in response.outputs
    )
    for output in response.outputs:
        output.ClearField("contents")
    return response


def doubles(request: ModelInferRequest) -> ModelInferResponse:
    response = an_answer(request)
    for output in response.outputs:
        output.datatype = "FP64"
        output.contents.fp64_contents.extend(output.contents.fp32_contents)
        output.contents.ClearField("fp32_contents")
    return response


async def test_all_players_of_a_call_are_asked_about_in_one_request(stub: IngestAsyncStub, model: ModelServer) -> None:
    events = [an_event(user_pseudo_id=f"player-{number}", event_name=f"name-{number}") for number in range(450)]

    response = await stub.Send(asking(*events), timeout=10)

    (request,) = model.asked
    assert request.model_name == "spend"
    assert {tensor.name for tensor in request.inputs} == {*NUMBERS, *TEXTS}
    assert {tuple(tensor.shape) for tensor in request.inputs} == {(450,)}
    assert asked_texts(request, "event_name") == [f"name-{number}" for number in range(450)]
    spends = [answer.spend for answer in response.answers]
    assert [spend.value for spend in spends] == list(range(450))
    assert {(spend.revision, spend.source, spend.reason) for spend in spends} == {("v1", pb.FRESH, "")}
    assert (spends[7].lower_bound, spends[7].upper_bound, spends[7].probability) == (6, 8, 0.5)


async def test_nobody_is_asked_when_no_model_is_named(stub: IngestAsyncStub, model: ModelServer) -> None:
    response = await stub.Send(pb.SendRequest(events=[an_event()]))

    assert not response.answers[0].HasField("spend")
    assert model.asked == []


async def test_a_duplicate_gets_a_prediction_and_a_reject_none(stub: IngestAsyncStub, model: ModelServer) -> None:
    await stub.Send(pb.SendRequest(events=[an_event("a")]))

    response = await stub.Send(asking(an_event(event_name=""), an_event("a"), an_event("b")))

    assert [answer.HasField("spend") for answer in response.answers] == [False, True, True]
    assert [answer.spend.value for answer in response.answers[1:]] == [0, 1]
    assert model.asked[0].inputs[0].shape[0] == 2


async def test_a_refused_event_gets_no_prediction(stub: IngestAsyncStub, broker: MemoryBroker) -> None:
    broker.failure = BrokerFull("the spool", "full", retry_after_s=1)

    response = await stub.Send(asking(an_event()))

    assert response.answers[0].outcome == pb.REFUSED
    assert not response.answers[0].HasField("spend")


@pytest.mark.parametrize("answer", [raw_floats, doubles])
async def test_outputs_are_read_in_every_form_of_the_protocol(
    stub: IngestAsyncStub, model: ModelServer, answer: Callable[[ModelInferRequest], ModelInferResponse]
) -> None:
    model.answer = answer

    response = await stub.Send(asking(an_event(), an_event()))

    assert [answer.spend.upper_bound for answer in response.answers] == [1, 2]
    assert [answer.spend.source for answer in response.answers] == [pb.FRESH, pb.FRESH]


async def test_the_model_sees_the_players_state(
    stub: IngestAsyncStub, model: ModelServer, settings: GatewaySettings
) -> None:
    await stub.Send(asking(an_event(user_pseudo_id="p")))
    with open_writer(settings.paths.features) as features:
        features.put_many([("p", PlayerState(events=41, spend_sum=7.5, country="Chile"))])
    await stub.Send(asking(an_event(user_pseudo_id="p"), an_event(user_pseudo_id="stranger")))

    before, after = model.asked
    assert asked_numbers(before, "events") == [0]
    assert asked_numbers(after, "events") == [41, 0]
    assert asked_numbers(after, "spend_sum") == [7.5, 0]
    assert asked_texts(after, "country") == ["Chile", ""]
    assert math.isnan(asked_numbers(after, "level_max")[0])


async def test_a_hung_model_delays_the_acknowledgement_by_no_more_than_its_time(
    stub: IngestAsyncStub, model: ModelServer, broker: MemoryBroker
) -> None:
    model.slow_s = 30
    began = time.monotonic()
    response = await stub.Send(asking(an_event()))

    assert time.monotonic() - began < 1.0
    assert response.answers[0].outcome == pb.ACCEPTED
    assert len(broker.published) == 1
    spend = response.answers[0].spend
    assert (spend.source, spend.reason, spend.revision) == (pb.DEFAULT, "timeout", "")
    assert (spend.value, spend.lower_bound, spend.upper_bound, spend.probability) == (3, 0, 40, 0.25)


async def test_a_hung_model_leaves_the_caller_time_for_the_acknowledgement(
    stub: IngestAsyncStub, model: ModelServer, settings: GatewaySettings
) -> None:
    model.slow_s = 30
    await stub.Send(pb.SendRequest(events=[an_event()]))  # connected, so that the time is the call's own

    response = await stub.Send(asking(an_event()), timeout=settings.spend_timeout_s / 2)

    assert response.answers[0].outcome == pb.ACCEPTED
    assert response.answers[0].spend.reason == "timeout"


async def test_predicting_and_storing_take_their_time_together(
    stub: IngestAsyncStub, model: ModelServer, broker: MemoryBroker
) -> None:
    model.slow_s, broker.slow_s = 0.2, 0.2
    began = time.monotonic()
    response = await stub.Send(asking(an_event()))

    assert time.monotonic() - began < 0.35
    assert response.answers[0].spend.source == pb.FRESH


async def test_a_hung_model_touches_nobody_who_does_not_ask(stub: IngestAsyncStub, model: ModelServer) -> None:
    model.slow_s = 30
    asks = [asyncio.ensure_future(stub.Send(asking(an_event()))) for _ in range(20)]
    began = time.monotonic()
    await stub.Send(pb.SendRequest(events=[an_event()]))

    assert time.monotonic() - began < 0.2
    await asyncio.gather(*asks)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (broken, "model_error"),
        (lambda _: ModelInferResponse(), "bad_answer"),
        (lambda request: an_answer(request, value=[1.0]), "bad_answer"),
        (lambda request: an_answer(request, upper_bound=[math.nan, 1.0]), "bad_answer"),
        (lambda request: an_answer(request, probability=[math.inf, 1.0]), "bad_answer"),
    ],
)
async def test_a_model_that_talks_nonsense_costs_only_its_prediction(
    stub: IngestAsyncStub,
    model: ModelServer,
    answer: Callable[[ModelInferRequest], ModelInferResponse],
    reason: str,
) -> None:
    model.answer = answer

    response = await stub.Send(asking(an_event(), an_event()))

    assert [answer.outcome for answer in response.answers] == [pb.ACCEPTED, pb.ACCEPTED]
    assert {(answer.spend.source, answer.spend.reason) for answer in response.answers} == {(pb.DEFAULT, reason)}


async def test_a_server_without_the_model_is_told_from_a_model_that_fails(
    stub: IngestAsyncStub, model: ModelServer
) -> None:
    model.fails_with = grpc.StatusCode.NOT_FOUND

    response = await stub.Send(asking(an_event()))

    assert (response.answers[0].outcome, response.answers[0].spend.reason) == (pb.ACCEPTED, "no_model")


async def test_raw_outputs_that_are_cut_off_are_nonsense(stub: IngestAsyncStub, model: ModelServer) -> None:
    def cut(request: ModelInferRequest) -> ModelInferResponse:
        response = raw_floats(request)
        response.raw_output_contents[1] = response.raw_output_contents[1][:-1]
        return response

    model.answer = cut

    response = await stub.Send(asking(an_event()))

    assert (response.answers[0].outcome, response.answers[0].spend.reason) == (pb.ACCEPTED, "bad_answer")


async def test_a_player_known_from_before_gets_the_last_answer(stub: IngestAsyncStub, model: ModelServer) -> None:
    model.answer = lambda request: an_answer(request, revision="v7", value=[12.0])
    await stub.Send(asking(an_event(user_pseudo_id="known")))
    model.answer = broken

    response = await stub.Send(asking(an_event(user_pseudo_id="known"), an_event(user_pseudo_id="new")))
    of_another_title = await stub.Send(asking(an_event(user_pseudo_id="known", title="another")))

    known, new = (answer.spend for answer in response.answers)
    assert (known.source, known.value, known.revision, known.reason) == (pb.STALE, 12, "v7", "model_error")
    assert (new.source, new.value, new.revision) == (pb.DEFAULT, 3, "")
    assert of_another_title.answers[0].spend.source == pb.DEFAULT


async def test_predictions_come_back_with_the_model_server(stub: IngestAsyncStub, model: ModelServer) -> None:
    with capture_logs() as logs:
        await model.stop()
        for _ in range(3):
            dead = (await stub.Send(asking(an_event()))).answers[0]
            assert (dead.outcome, dead.spend.reason) == (pb.ACCEPTED, "unreachable")
        await model.start()
        deadline = time.monotonic() + 10
        while (await stub.Send(asking(an_event()))).answers[0].spend.source != pb.FRESH:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)

    assert [entry["event"] for entry in logs] == ["model gives no answers", "model answers again"]


async def test_a_snapshot_that_cannot_be_read_costs_only_the_prediction(
    settings: GatewaySettings, broker: MemoryBroker
) -> None:
    settings.paths.features.mkdir()
    (settings.paths.features / "data.mdb").write_bytes(b"no snapshot" * 1000)
    async with serving(settings, broker) as address, grpc.aio.insecure_channel(address) as channel:
        stub: IngestAsyncStub = IngestStub(channel)
        response = await stub.Send(asking(an_event()))

    assert response.answers[0].outcome == pb.ACCEPTED
    assert response.answers[0].spend.reason == "features_unreadable"


async def test_the_model_is_told_how_long_it_may_take(model: ModelServer) -> None:
    model.slow_s = 30
    began = time.monotonic()
    async with open_router(model.address, timeout_s=0.2, observe=lambda *_: None) as spend:
        with pytest.raises(ModelUnavailable) as failure:
            await spend.ask([{"events": 1.0}], players=["p"], timeout_s=0.2)

    assert failure.value.reason == "timeout"
    assert time.monotonic() - began < 1


async def test_a_model_that_ignores_its_time_is_not_waited_for() -> None:
    class Stubborn:
        async def ask(self, rows: Sequence[Row], *, players: Sequence[str], timeout_s: float) -> list[Spend]:  # noqa: ARG002 - that is its way
            await asyncio.sleep(30)
            return []

    prior = Spend(**PRIOR.model_dump(), revision="")
    last = LastAnswers(players=1, max_age_s=1)
    predictions = SpendPredictions(Stubborn(), lambda _: {"events": 1.0}, last, prior=prior)
    began = time.monotonic()

    (prediction,) = await predictions.ask([an_event()], budget_s=0.2)

    assert (prediction.spend, prediction.reason) == (prior, "timeout")
    assert time.monotonic() - began < 1


def test_only_the_players_asked_about_last_are_remembered_and_not_for_ever() -> None:
    now = 0.0
    last = LastAnswers(players=2, max_age_s=60, clock=lambda: now)
    spend = Spend(value=1, lower_bound=0, upper_bound=2, probability=0.5, revision="v1")
    for player in ("a", "b", "a", "c"):
        last.keep(("game", player), spend)

    assert len(last) == 2
    assert [last.get(("game", player)) for player in ("a", "b", "c")] == [spend, None, spend]
    now = 60.0
    assert last.get(("game", "a")) is spend
    now = 60.1
    assert last.get(("game", "a")) is None
