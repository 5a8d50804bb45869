from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any

import grpc
import pytest

from questline_ingest.breaker import FAILURES, FIRST_REST_S, Breaker
from questline_ingest.gathered import AT_ONCE, Gathered
from questline_ingest.open_inference import INFER, ModelUnavailable
from questline_ingest.pb.open_inference_pb2 import ModelInferRequest, ModelInferResponse
from questline_ingest.revisions import Revision, Revisions
from questline_ingest.router import open_router
from questline_ingest.testing import ModelServer, an_answer


class Slow:
    def __init__(self, *, slow_s: float) -> None:
        self.asked: list[list[int]] = []
        self._slow_s = slow_s

    async def ask(self, rows: Sequence[int], *, timeout_s: float) -> list[str]:  # noqa: ARG002 - it never fails
        self.asked.append(list(rows))
        await asyncio.sleep(self._slow_s)
        return [str(row) for row in rows]


def gathered(model: Slow, *, timeout_s: float = 5.0) -> Gathered[int, str]:
    return Gathered(model, name="slow", timeout_s=timeout_s, observe=lambda *_: None)


async def test_questions_that_wait_go_out_as_one_request_and_each_gets_its_own_answers() -> None:
    model = Slow(slow_s=0.05)
    asking = gathered(model)

    answers = await asyncio.gather(*(asking.ask([n, -n], timeout_s=5) for n in range(100)))

    assert answers == [[str(n), str(-n)] for n in range(100)]
    assert len(model.asked) == AT_ONCE + 1
    assert len(model.asked[-1]) == 2 * (100 - AT_ONCE)


async def test_a_hung_model_is_soon_left_alone_and_costs_nobody_a_wait() -> None:
    model = Slow(slow_s=60)
    asking = gathered(model, timeout_s=0.05)
    reasons = Counter[str]()
    while reasons["circuit_open"] < 100:
        with pytest.raises(ModelUnavailable) as failure:
            await asking.ask([1], timeout_s=5)
        reasons[failure.value.reason] += 1

    assert reasons["timeout"] == FAILURES
    assert len(model.asked) == FAILURES


def test_a_model_left_alone_is_tried_with_one_question_after_each_rest_which_grows() -> None:
    now = 0.0
    breaker = Breaker(clock=lambda: now)
    for _ in range(FAILURES):
        assert breaker.lets_through()
        breaker.failed()

    assert not breaker.lets_through()
    now = 2 * FIRST_REST_S
    assert [breaker.lets_through() for _ in range(3)] == [True, False, False]
    breaker.failed()
    rest_s = breaker.rest_s
    now += rest_s * 0.9
    assert not breaker.lets_through()
    now += rest_s * 0.1
    assert breaker.lets_through()
    breaker.succeeded()
    assert [breaker.lets_through() for _ in range(3)] == [True, True, True]
    assert rest_s > FIRST_REST_S


def test_players_keep_their_revision_and_the_shares_are_kept() -> None:
    main, canary = Revision(address="a:1", share=90), Revision(address="b:1", share=10)
    both = Revisions((main, canary))
    chosen = {f"player-{n}": both.of(f"player-{n}") for n in range(20_000)}

    assert 0.09 < sum(revision is canary for revision in chosen.values()) / 20_000 < 0.11
    assert all(both.of(player) is revision for player, revision in chosen.items())
    more = Revisions((Revision(address="a:1", share=50), Revision(address="b:1", share=50)))
    assert all(more.of(player).address == "b:1" for player, revision in chosen.items() if revision is canary)


async def test_a_canary_answers_for_its_players_and_when_it_is_dead_the_main_revision_does() -> None:
    main, canary = ModelServer(), ModelServer()
    canary.answer = lambda request: an_answer(request, revision="v2")
    await main.start()
    await canary.start()
    both = Revisions((Revision(address=main.address, share=3), Revision(address=canary.address)))
    players = [f"player-{n}" for n in range(200)]
    rows = [{"events": float(n)} for n in range(200)]
    async with open_router(main.address, timeout_s=2, observe=lambda *_: None) as router:
        router.use(both)
        split = await router.ask(rows, players=players, timeout_s=2)
        await canary.stop()
        alone = await router.ask(rows, players=players, timeout_s=2)
    await main.stop()

    expected = ["v2" if both.of(player).address == canary.address else "v1" for player in players]
    assert [spend.revision for spend in split] == expected
    assert {spend.revision for spend in alone} == {"v1"}


async def test_a_change_in_the_middle_of_a_question_loses_no_answer() -> None:
    model = ModelServer()
    model.slow_s = 0.05
    await model.start()
    players = [f"player-{n}" for n in range(50)]
    rows = [{"events": float(n)} for n in range(50)]
    async with open_router(model.address, timeout_s=5, observe=lambda *_: None) as router:
        router.use(Revisions((Revision(address=model.address, share=50), Revision(address=model.address, share=51))))
        asking = asyncio.create_task(router.ask(rows, players=players, timeout_s=5))
        await asyncio.sleep(0)
        router.use(Revisions((Revision(address=model.address, share=100),)))
        answers = await asking
    await model.stop()

    assert len(answers) == len(rows)


@pytest.mark.parametrize("begun", [False, True], ids=["not begun", "begun"])
@pytest.mark.parametrize("rows", [1, 50_000])
@pytest.mark.parametrize("code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED])
async def test_a_server_that_ends_costs_no_answer(code: grpc.StatusCode, rows: int, begun: bool) -> None:
    """What it drops is asked of the next one, which here is itself: however large, and however far the answer was."""
    dropped = [code, code]

    async def infer(request: ModelInferRequest, context: grpc.aio.ServicerContext[Any, Any]) -> ModelInferResponse:
        if dropped:
            if begun:
                await context.send_initial_metadata(())
            await context.abort(dropped.pop(), "it ends")
        return an_answer(request, revision="v1")

    service, method = INFER.strip("/").split("/")
    handler = grpc.unary_unary_rpc_method_handler(
        infer,
        request_deserializer=ModelInferRequest.FromString,
        response_serializer=ModelInferResponse.SerializeToString,
    )
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {method: handler}),))
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    async with open_router("127.0.0.1:9", timeout_s=10, observe=lambda *_: None) as router:
        router.use(Revisions((Revision(address=address, version="v1"),)))
        answers = await router.ask([{"events": 1.0, "sessions": 1.0}] * rows, players=["player"] * rows, timeout_s=10)
    await server.stop(None)

    assert ({answer.revision for answer in answers}, len(answers), dropped) == ({"v1"}, rows, [])
