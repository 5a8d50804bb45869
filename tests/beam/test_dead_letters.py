"""The step that publishes dead letters: one broker for all bundles of a worker, whichever thread they come in."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from questline_beam.transforms.batches import Batch
from questline_beam.transforms.store import Publish
from questline_core.broker.port import open_broker
from questline_core.broker.pubsub import ensure
from questline_core.broker.pubsub.channels import connect_async
from questline_core.pb.broker_pb2 import Reject
from questline_core.testing.pubsub_emulator import emulator_or_skip

BUNDLES = 4


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[str]:
    with emulator_or_skip(tmp_path / "log") as endpoint:
        yield endpoint


@pytest.fixture(params=["spool", "pubsub"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "spool":
        return f"spool:{tmp_path / 'dead-letters'}"
    where = f"questline/rejects/rejects?endpoint={request.getfixturevalue('emulator')}"
    ensure(where)
    return f"pubsub:{where}"


@pytest.fixture
def channels(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The channels to Pub/Sub that are made to publish."""
    made = list[Any]()

    def connect_and_keep(*arguments: Any) -> Any:
        made.append(connect_async(*arguments))
        return made[-1]

    monkeypatch.setattr("questline_core.broker.pubsub.publisher.connect_async", connect_and_keep)
    return made


def in_a_thread_of_its_own(work: Callable[[], None]) -> None:
    with ThreadPoolExecutor(1) as threads:
        threads.submit(work).result()


def test_all_bundles_of_a_worker_are_published_by_one_broker(address: str, channels: list[Any]) -> None:
    step: Publish = pickle.loads(pickle.dumps(Publish(address)))  # noqa: S301 - our own, as a worker gets it
    step.setup()
    for number in range(BUNDLES):
        rejects = Batch([Reject(event_id=f"e{number}", reason="missing", time_micros=7_000)])
        in_a_thread_of_its_own(lambda rejects=rejects: step.process(rejects))  # type: ignore[misc]
    step.teardown()

    assert len(channels) == (1 if address.startswith("pubsub") else 0)
    with closing(open_broker(address)) as broker:
        found = [d.message for d in broker.pull(max_messages=BUNDLES, lease_s=60)]
    assert sorted(Reject.FromString(message.data).event_id for message in found) == ["e0", "e1", "e2", "e3"]
    assert {message.attributes["name"] for message in found} == {"missing"}
    assert {message.attributes["time"] for message in found} == {"7"}


def test_the_channel_is_closed_with_its_step(emulator: str, channels: list[Any]) -> None:
    where = f"questline/closed/closed?endpoint={emulator}"
    ensure(where)
    step = Publish(f"pubsub:{where}")
    step.setup()
    step.process(Batch([Reject(event_id="e")]))

    step.teardown()

    (channel,) = channels
    assert channel._channel.closed()


def test_a_step_that_was_never_set_up_is_torn_down() -> None:
    Publish("spool:nowhere").teardown()
