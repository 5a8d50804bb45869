from __future__ import annotations

from pathlib import Path

import grpc
import pytest
from structlog.testing import capture_logs

from questline_core.errors import BadInput
from questline_core.pb.broker_pb2 import Reject
from questline_core.pb.telemetry_pb2 import Event
from questline_core.testing.memory_broker import MemoryBroker
from questline_ingest.auth import ANYONE, Gate, Keys, NotAllowed, RateLimited, require_closed
from questline_ingest.auth.gate import open_gate
from questline_ingest.pb import ingest_pb2 as pb
from questline_ingest.pb.ingest_pb2_grpc import IngestStub
from questline_ingest.settings import GatewaySettings
from questline_ingest.status import PUSHBACK
from questline_ingest.testing import an_event, serving


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return Keys(tmp_path / "keys.json")


def gate(keys: Keys | None, *, events_per_s: float = 0.0, burst: int = 100) -> Gate:
    return Gate(keys, events_per_s=events_per_s, burst_events=burst)


async def send(address: str, event: Event, key: str, *models: pb.Model.ValueType) -> pb.SendResponse:
    async with grpc.aio.insecure_channel(address) as channel:
        request = pb.SendRequest(events=[event], predict=models)
        answer: pb.SendResponse = await IngestStub(channel).Send(request, metadata=(("x-api-key", key),))
        return answer


def test_the_file_holds_no_key_and_only_its_owner_reads_it(keys: Keys) -> None:
    _, text = keys.create("game")

    assert text.partition(".")[2] not in keys.path.read_text()
    assert keys.path.stat().st_mode & 0o777 == 0o600


def test_a_key_fixes_title_and_sandbox(keys: Keys) -> None:
    _, text = keys.create("puzzle", sandbox=True)

    caller = gate(keys).caller(f"Bearer {text}", peer=str)

    assert (caller.title, caller.is_test) == ("puzzle", True)


@pytest.mark.parametrize("wrong", ["", "Bearer ", "nonsense", "{id}.", "{id}.x", "\ud800", "é" * 100])
def test_what_is_no_key_is_refused_with_one_text(keys: Keys, wrong: str) -> None:
    key, _ = keys.create("game")

    with pytest.raises(NotAllowed, match="needs a valid API key"):
        gate(keys).caller(wrong.replace("{id}", key.key_id), peer=str)


def test_a_rotated_key_works_until_its_end_and_a_revoked_one_not_at_all(keys: Keys) -> None:
    first, old = keys.create("game")
    second, new = keys.rotate(first.key_id, after_s=3600)
    both = [gate(keys).caller(text, peer=str).key_id for text in (old, new)]
    Keys(keys.path).end(first.key_id)

    assert both == [first.key_id, second.key_id]
    with pytest.raises(NotAllowed):
        gate(keys).caller(old, peer=str)


def test_roles_do_not_stand_in_for_each_other(keys: Keys) -> None:
    _, game = keys.create("game")
    _, admin = keys.create("game", role="admin")

    for text, role in ((game, "admin"), (admin, "game")):
        with pytest.raises(NotAllowed):
            gate(keys).caller(text, peer=str, role=role)  # type: ignore[arg-type]


def test_two_who_change_the_keys_lose_nothing(keys: Keys) -> None:
    keys.create("a")
    Keys(keys.path).create("b")
    keys.create("c")

    assert {key.title for key in Keys(keys.path).all()} == {"a", "b", "c"}


def test_a_damaged_file_of_keys_is_named(keys: Keys) -> None:
    keys.path.write_text("{}")

    with pytest.raises(BadInput, match=r"keys\.json cannot be read"):
        keys.all()


def test_a_gateway_that_has_no_key_says_so_when_it_starts(settings: GatewaySettings, keys: Keys) -> None:
    with capture_logs() as logs:
        open_gate(settings.model_copy(update={"keys": keys.path}))
        keys.create("game")
        open_gate(settings.model_copy(update={"keys": keys.path}))

    assert [(log["event"], log["file"]) for log in logs if log["log_level"] == "warning"] == [
        ("every call is refused until there is a key", str(keys.path))
    ]


def test_the_rate_holds_at_the_limit_and_refuses_one_more_with_advice() -> None:
    limited = gate(None, events_per_s=0.001, burst=10)

    limited.spend(ANYONE, 10)
    with pytest.raises(RateLimited) as refused:
        limited.spend(ANYONE, 1)
    assert 900 < refused.value.retry_after_s <= 1000


@pytest.mark.parametrize("listen", ["0.0.0.0:7777", "[::]:7777", "10.0.0.1:1", "example.com:1"])
def test_nothing_listens_to_strangers_without_tls_and_keys(listen: str, tmp_path: Path) -> None:
    tls = {"tls_certificate": tmp_path / "c", "tls_key": tmp_path / "k"}
    with pytest.raises(BadInput, match="QUESTLINE_TLS_CERTIFICATE"):
        require_closed(GatewaySettings.read(listen=listen))
    with pytest.raises(BadInput, match="QUESTLINE_KEYS"):
        require_closed(GatewaySettings.read(listen=listen, **tls))
    with pytest.raises(BadInput, match="neither TLS nor keys"):
        require_closed(GatewaySettings.read(tcp_listen=listen, keys=tmp_path / "keys", **tls))
    require_closed(GatewaySettings.read(listen=listen, keys=tmp_path / "keys", **tls))
    require_closed(GatewaySettings.read(listen=listen, tls_ends_before=True))


async def test_a_title_writes_as_itself_only(settings: GatewaySettings, broker: MemoryBroker, keys: Keys) -> None:
    _, key = keys.create("puzzle", sandbox=True)
    async with serving(settings.model_copy(update={"keys": keys.path}), broker) as address:
        own = await send(address, an_event(), key)
        foreign = await send(address, an_event(title="other"), key)
        also_broken = await send(address, an_event(title="other", event_name=""), key)

    assert own.answers[0].outcome == pb.ACCEPTED
    assert [one.answers[0].problem.reason for one in (foreign, also_broken)] == ["wrong_title"] * 2
    stored, rejected, _ = (message.data for message in broker.published)
    assert (Event.FromString(stored).title, Event.FromString(stored).is_test) == ("puzzle", True)
    assert (Reject.FromString(rejected).title, Reject.FromString(rejected).is_test) == ("puzzle", True)


async def test_only_the_title_of_the_installation_is_told_of_players(
    settings: GatewaySettings, broker: MemoryBroker, keys: Keys
) -> None:
    (_, own), (_, foreign) = keys.create("game"), keys.create("puzzle")
    async with serving(settings.model_copy(update={"keys": keys.path}), broker) as address:
        told = [(await send(address, an_event(), key, pb.SPEND)).answers[0].HasField("spend") for key in (own, foreign)]

    assert told == [True, False]


async def test_a_call_without_key_is_unauthenticated(
    settings: GatewaySettings, broker: MemoryBroker, keys: Keys
) -> None:
    keys.create("game")
    async with serving(settings.model_copy(update={"keys": keys.path}), broker) as address:
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await send(address, an_event(), "wrong")

    assert failure.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert not broker.published


async def test_too_many_events_a_second_are_told_when_to_come_again(
    settings: GatewaySettings, broker: MemoryBroker
) -> None:
    slow = settings.model_copy(update={"key_events_per_s": 0.5, "max_batch_events": 1})
    async with serving(slow, broker) as address:
        await send(address, an_event(), "")
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await send(address, an_event(), "")

    assert failure.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert PUSHBACK in str(failure.value.trailing_metadata())
