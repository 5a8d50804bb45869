"""Google's own emulator of Pub/Sub pushes to the service: what fails comes again, and five failures make a dead letter."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from google.protobuf.empty_pb2 import Empty
from google.pubsub_v1.types import pubsub

from questline_core.broker.port import MAX_ATTEMPTS, Message, open_broker
from questline_core.broker.pubsub import ensure
from questline_core.broker.pubsub.address import parse
from questline_core.broker.pubsub.channels import connect, unary
from questline_core.broker.pubsub.dead import open_dead_letters
from questline_core.testing.pubsub_emulator import emulator_or_skip
from questline_ingest.http.serving import served
from questline_pipelines.trigger.desk import Desk
from questline_pipelines.trigger.drift import DriftWatch
from questline_pipelines.trigger.exports import Exports
from questline_pipelines.trigger.ledger import Ledger
from questline_pipelines.trigger.service import application
from questline_pipelines.trigger.tokens import Doorkeeper

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send
    from starlette.types import Message as Sent

INCIDENT = {"incident": {"incident_id": "i1", "state": "open", "policy_name": "load"}, "version": "1.2"}
PATIENCE_S = 90.0

pytestmark = pytest.mark.timeout(240)  # the emulator waits longer before each further try


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with emulator_or_skip(tmp_path_factory.mktemp("emulator") / "log") as endpoint:
        yield endpoint


class Signing:
    """The emulator signs no pushes: adds the token that Google's Pub/Sub brings, and notes what is answered."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app, self._header = app, (b"authorization", f"Bearer {token}".encode())
        self.answers: list[int] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def noting(message: Sent) -> None:
            if message["type"] == "http.response.start":
                self.answers.append(message["status"])
            await send(message)

        await self._app({**scope, "headers": [*scope["headers"], self._header]}, receive, noting)


@asynccontextmanager
async def pushed(emulator: str, app: ASGIApp) -> AsyncIterator[str]:
    """Push an incident to the service until the block ends, and yield the address of the subscription."""
    name = f"load-{uuid4().hex[:8]}"
    address = f"questline/{name}/{name}"
    await asyncio.to_thread(ensure, address, endpoint=emulator)
    async with served(app, "127.0.0.1:0", setting="the test's") as at:
        where = parse(address, endpoint=emulator)
        request = pubsub.ModifyPushConfigRequest.pb()(subscription=where.subscription_path)
        request.push_config.push_endpoint = f"http://{at}/push/load"
        with connect(where) as channel:
            await asyncio.to_thread(unary(channel, "Subscriber/ModifyPushConfig", Empty), request, timeout=10)
        with closing(open_broker(f"pubsub:{address}?endpoint={emulator}")) as broker:
            await broker.publish([Message(data=json.dumps(INCIDENT).encode(), attributes={})])
        yield f"{address}?endpoint={emulator}"


@pytest.fixture
def service(game: Any, issuer: Any, starter: Any) -> Iterator[Signing]:
    settings = issuer.settings(game)
    with closing(Ledger(game.home / "ledger.db")) as ledger:
        desk = Desk(settings, ledger, starter, dict, DriftWatch(every_s=0))
        yield Signing(application(Doorkeeper(settings), desk, Exports(settings, ledger)), issuer.token())


async def dead_letter(address: str) -> Any:
    """Wait for one, which the emulator makes when it would push again."""
    with closing(open_dead_letters(address)) as letters:
        async with asyncio.timeout(PATIENCE_S):
            while not (found := await asyncio.to_thread(letters.find, 10)):  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.05)
    (letter,) = found
    return json.loads(letter.message.data)


async def test_five_answers_of_503_make_a_dead_letter(emulator: str, service: Signing, game: Any, starter: Any) -> None:
    game.play(5)
    starter.broken = True
    async with pushed(emulator, service) as address:
        letter = await dead_letter(address)

    assert service.answers == [503] * MAX_ATTEMPTS
    assert letter == INCIDENT
    assert starter.started == []


async def test_a_push_that_fails_first_starts_its_run_when_it_comes_again_and_no_second_one(
    emulator: str, service: Signing, game: Any, starter: Any
) -> None:
    game.play(5)
    starter.broken = True
    async with pushed(emulator, service):
        async with asyncio.timeout(PATIENCE_S):
            while 204 not in service.answers:
                starter.broken = not service.answers
                await asyncio.sleep(0.05)

    assert service.answers[0] == 503
    assert service.answers.count(204) == 1
    assert len(starter.started) == 1
