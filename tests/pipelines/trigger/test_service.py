"""What the service answers to Pub/Sub, and what it did by then."""

import base64
import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import httpx
import pyarrow as pa
import pytest

from questline_core.lookup.exported import TERMS, write_export
from questline_core.lookup.manifest import current_name, read_manifest, signing_key
from questline_core.lookup.publish import SCHEMA, Terms
from questline_pipelines.trigger.desk import Desk
from questline_pipelines.trigger.drift import DriftWatch
from questline_pipelines.trigger.exports import Exports
from questline_pipelines.trigger.ledger import Ledger
from questline_pipelines.trigger.service import application
from questline_pipelines.trigger.tokens import Doorkeeper


class Pusher:
    """Pushes as Pub/Sub does."""

    def __init__(self, client: httpx.AsyncClient, issuer: Any) -> None:
        self.client, self.issuer = client, issuer

    async def push(self, path: str, content: object = None, *, token: str = "", **attributes: str) -> int:
        data = base64.b64encode(json.dumps(content).encode()).decode()
        body = {"message": {"messageId": "1", "data": data, "attributes": attributes}, "subscription": "s"}
        return await self.send(path, json.dumps(body).encode(), token=token)

    async def send(self, path: str, body: bytes, *, token: str = "") -> int:
        headers = {"Authorization": f"Bearer {token or self.issuer.token()}"}
        return (await self.client.post(path, content=body, headers=headers)).status_code

    async def incident(self, number: int, state: str = "open") -> int:
        content = {"incident": {"incident_id": f"i{number}", "state": state, "policy_name": "load"}, "version": "1.2"}
        return await self.push("/push/load", content)

    async def finalize(self, name: str, *, generation: str = "1", event: str = "OBJECT_FINALIZE") -> int:
        return await self.push(
            "/push/export", eventType=event, bucketId="exports", objectId=name, objectGeneration=generation
        )


@pytest.fixture
def ledger(game: Any) -> Iterator[Ledger]:
    with closing(Ledger(game.home / "ledger.db")) as opened:
        yield opened


@pytest.fixture
def pusher(game: Any, issuer: Any, starter: Any, ledger: Ledger) -> Pusher:
    settings = issuer.settings(game, trigger_buckets=f"{game.home}/buckets/")
    served = application(
        Doorkeeper(settings), Desk(settings, ledger, starter, dict, DriftWatch(every_s=0)), Exports(settings, ledger)
    )
    return Pusher(httpx.AsyncClient(transport=httpx.ASGITransport(app=served), base_url="http://trigger"), issuer)


async def test_open_twice_closed_and_another_during_the_run_start_exactly_one_run(
    pusher: Pusher, game: Any, starter: Any
) -> None:
    game.play(5)

    answers = [
        await pusher.incident(1),
        await pusher.incident(1),
        await pusher.incident(2),
        await pusher.incident(1, "closed"),
    ]

    assert answers == [204, 204, 204, 204]
    assert len(starter.started) == 1


async def test_a_stranger_is_refused_and_starts_nothing(pusher: Pusher, game: Any, starter: Any) -> None:
    game.play(5)
    stranger = pusher.issuer.token(email="somebody@else.example")

    assert await pusher.push("/push/load", {"incident": {"incident_id": "i1", "state": "open"}}, token=stranger) == 403
    assert starter.started == []


async def test_what_cannot_be_started_is_answered_so_that_it_comes_again(
    pusher: Pusher, game: Any, starter: Any
) -> None:
    game.play(5)
    starter.broken = True
    assert await pusher.incident(1) == 503

    starter.broken = False
    assert await pusher.incident(1) == 204
    assert len(starter.started) == 1


@pytest.mark.parametrize("body", [b"", b"[]", b'{"message": {}}', b'{"message": {"messageId": "1", "data": "e30="}}'])
async def test_what_is_no_message_goes_to_the_dead_letters(pusher: Pusher, body: bytes) -> None:
    assert await pusher.send("/push/load", body) == 400


def export(game: Any, folder: str, probability: float) -> None:
    row = {"user_pseudo_id": "p1", "probability": probability, "source": "trees", "churned": None, "reasons": ["taps"]}
    place = game.home / "buckets" / "exports" / folder
    place.mkdir(parents=True)
    write_export(str(place), pa.Table.from_pylist([row], SCHEMA), Terms(prior=0.5, threshold=0.4, lineage={"run": "r"}))


async def test_a_finished_export_becomes_one_generation_however_often_it_is_told(
    pusher: Pusher, game: Any, ledger: Ledger
) -> None:
    export(game, "churn/1", 0.25)

    answers = [
        await pusher.finalize("churn/1/scores.parquet"),
        await pusher.finalize(f"churn/1/{TERMS}"),
        await pusher.finalize(f"churn/1/{TERMS}"),
    ]

    assert answers == [204, 204, 204]
    assert [(one.action, one.run) for one in ledger.latest(9)] == [("lookup", "g000001")]
    folder = game.home / "lookup" / current_name(game.home / "lookup")
    told = read_manifest(folder, key=signing_key(game.settings()))
    assert (told.players, told.prior, told.threshold, told.lineage) == (1, 0.5, 0.4, {"run": "r"})


async def test_the_next_export_is_the_next_generation(pusher: Pusher, game: Any) -> None:
    for number in (1, 2):
        export(game, f"churn/{number}", 0.25)
        await pusher.finalize(f"churn/{number}/{TERMS}")

    assert current_name(game.home / "lookup") == "g000002"


async def test_an_export_that_is_not_whole_is_tried_again(pusher: Pusher, game: Any) -> None:
    assert await pusher.finalize(f"churn/1/{TERMS}") == 503
    export(game, "churn/1", 0.25)
    assert await pusher.finalize(f"churn/1/{TERMS}") == 204
    assert current_name(game.home / "lookup") == "g000001"


async def test_a_deleted_object_publishes_nothing(pusher: Pusher, game: Any) -> None:
    export(game, "churn/1", 0.25)

    assert await pusher.finalize(f"churn/1/{TERMS}", event="OBJECT_DELETE") == 204
    assert current_name(game.home / "lookup") == ""


async def test_the_probes_are_answered_without_a_token(pusher: Pusher) -> None:
    assert [(await pusher.client.get(path)).status_code for path in ("/livez", "/readyz")] == [200, 200]
