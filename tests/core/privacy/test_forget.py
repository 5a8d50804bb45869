"""A forgotten player is in no place any more and does not come back."""

from __future__ import annotations

import asyncio
import io
import shutil
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from questline_core.broker.port import EVENT, MAX_ATTEMPTS, REJECT, Message, open_broker
from questline_core.errors import BadInput
from questline_core.events.rows import to_table
from questline_core.events.schema import arrow_schema
from questline_core.events.sessions import SESSION_SCHEMA, SESSIONS, each_event, session_rows
from questline_core.features.state import PlayerState
from questline_core.features.store import open_writer
from questline_core.pb.broker_pb2 import Reject
from questline_core.pb.telemetry_pb2 import Event
from questline_core.privacy.forget import forget, search
from questline_core.privacy.forgotten import FORGOTTEN, Forgotten
from questline_core.privacy.holder import Holder
from questline_core.privacy.key import PrivacyKey
from questline_core.privacy.places import opened_places
from questline_core.privacy.record import Record, Records
from questline_core.settings import PlatformSettings
from questline_core.warehouse.port import EVENTS, REJECTS, Warehouse, open_warehouse

GONE, STAYS = "0f1e2d3c-gone-player", "0f1e2d3c-gone-player-2"
ANOTHER = "somebody-else"
PREDICTIONS = "predictions.churn"


def an_event(player: str, number: int = 0) -> Event:
    return Event(
        event_id=f"event-{number}-{len(player)}",
        title="quest",
        received_time=1_800_000_000_000_000 + number,
        event_date="20270115",
        event_timestamp=1_800_000_000_000_000 + number,
        event_name="level_up",
        user_pseudo_id=player,
    )


def a_reject(payload: bytes, number: int) -> Reject:
    return Reject(payload=payload, reason="malformed", message_id=f"m{number}", time_micros=number)


def unreadable(player: str) -> bytes:
    return b"\xff\xff" + player.encode() + b"\xff"


def fill_warehouse(warehouse: Warehouse) -> None:
    warehouse.create(EVENTS, arrow_schema(Event))
    for number in range(40):  # more than are kept apart, so that merged files are left behind
        rows = to_table(Event, [an_event(player, number) for player in (GONE, STAYS)])
        warehouse.append(EVENTS, rows, key="event_id")
    warehouse.create(SESSIONS, SESSION_SCHEMA)
    warehouse.append(
        SESSIONS, session_rows(each_event(to_table(Event, [an_event(player) for player in (GONE, STAYS)])))
    )
    warehouse.create(REJECTS, arrow_schema(Reject))
    readable = [an_event(player).SerializeToString() for player in (GONE, STAYS)]
    payloads = [*readable, unreadable(GONE), unreadable(ANOTHER)]
    warehouse.append(REJECTS, to_table(Reject, [a_reject(payload, n) for n, payload in enumerate(payloads)]))
    scores = pa.table({"user_pseudo_id": [GONE, STAYS, STAYS], "probability": [0.1, 0.2, 0.3]})
    warehouse.replace(PREDICTIONS, scores)


def fill_spool(settings: PlatformSettings) -> None:
    events = [
        Message(data=an_event(p, n).SerializeToString(), attributes={"kind": EVENT})
        for p in (GONE, STAYS)
        for n in range(3)
    ]
    reject = a_reject(unreadable(GONE), 9).SerializeToString()
    poison = [Message(data=unreadable(p), attributes={"kind": EVENT}) for p in (GONE, ANOTHER)]
    with closing(open_broker(settings.broker_url)) as broker:
        asyncio.run(broker.publish(poison))
        for _ in range(MAX_ATTEMPTS):
            broker.nack([delivery.ack_id for delivery in broker.pull(max_messages=9, lease_s=60)])
        asyncio.run(broker.publish([*events, Message(data=reject, attributes={"kind": REJECT})]))
        assert len(broker.pull(max_messages=1, lease_s=600)) == 1  # one of GONE is on its way to rows


def fill_files(settings: PlatformSettings) -> None:
    with open_writer(settings.paths.features) as store:
        store.put_many([(player, PlayerState(events=40)) for player in (GONE, STAYS)])
    for folder in (settings.paths.pipelines, settings.paths.logs):
        folder.mkdir()
    pq.write_table(pa.table({"player": [GONE, STAYS], "spend": [1.0, 2.0]}), settings.paths.pipelines / "examples")
    (settings.paths.logs / "stream.log").write_text(f"player {GONE} and {STAYS}\n")


@pytest.fixture(scope="session")
def full_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    settings = PlatformSettings(home=tmp_path_factory.mktemp("full") / "home")
    with closing(open_warehouse(settings.warehouse_url)) as warehouse:
        fill_warehouse(warehouse)
    fill_spool(settings)
    fill_files(settings)
    return settings.paths.root


@pytest.fixture
def home(settings: PlatformSettings, full_home: Path) -> Path:
    shutil.copytree(full_home, settings.paths.root, dirs_exist_ok=True)
    return settings.paths.root


def run(settings: PlatformSettings, key: PrivacyKey, player: str = GONE, *, crash_after: int | None = None) -> Record:
    records = Records(settings.paths.privacy / "records", key)
    with opened_places(settings, key) as (forgotten, places):
        if crash_after is not None:
            places[crash_after] = Crashing(places[crash_after])
        record, path = forget(
            player, player_key=key.of_player(player), forgotten=forgotten, places=places, records=records
        )
        assert records.read(path) == record
    return record


@dataclass(frozen=True)
class Crashing:
    """Erases, and then the process dies before it can note it."""

    place: Holder

    @property
    def name(self) -> str:
        return self.place.name

    def find(self, player: str) -> int:
        return self.place.find(player)

    def erase(self, player: str) -> int:
        self.place.erase(player)
        raise KeyboardInterrupt


def traces(home: Path, player: str) -> list[str]:
    """Name every file under a home that holds an id: in its bytes, or in a cell of any Parquet file, named or not."""
    found = []
    for path in sorted(path for path in home.rglob("*") if path.is_file()):
        content = path.read_bytes()
        if content.startswith(b"PAR1"):
            content = repr(pq.read_table(io.BytesIO(content)).to_pylist()).encode()
        if player.encode() in content.replace(STAYS.encode(), b"") if player == GONE else player.encode() in content:
            found.append(str(path.relative_to(home)))
    return found


def held(settings: PlatformSettings, key: PrivacyKey, player: str) -> dict[str, int]:
    with opened_places(settings, key) as (_, places):
        return search(player, places)


def test_the_player_is_in_no_place_and_in_no_byte_and_another_with_a_longer_id_loses_nothing(
    settings: PlatformSettings, key: PrivacyKey, home: Path
) -> None:
    before = [held(settings, key, player) for player in (STAYS, ANOTHER)]
    assert len(traces(home, GONE)) > 5

    record = run(settings, key)

    assert {place.place: (place.removed, place.left) for place in record.places if place.removed or place.left} == {
        "broker": (5, 0),
        f"table {EVENTS}": (40, 0),
        f"table {SESSIONS}": (1, 0),
        f"table {REJECTS}": (2, 0),
        f"table {PREDICTIONS}": (1, 0),
        "features": (1, 0),
        f"files {settings.paths.pipelines}": (1, 0),
        f"files {settings.paths.logs}": (1, 0),
    }
    assert held(settings, key, GONE) == {}
    assert traces(home, GONE) == []
    assert [held(settings, key, player) for player in (STAYS, ANOTHER)] == before


def test_the_record_does_not_tell_the_player(settings: PlatformSettings, key: PrivacyKey, home: Path) -> None:
    record = run(settings, key)

    assert record.player_key == key.of_player(GONE)
    assert GONE not in "".join(path.read_text() for path in (settings.paths.privacy / "records").iterdir())


@pytest.mark.parametrize("place", range(6))
def test_after_a_crash_anywhere_the_next_run_completes_the_same_record(
    settings: PlatformSettings, key: PrivacyKey, home: Path, place: int
) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(settings, key, crash_after=place)

    record = run(settings, key)

    assert record.ended
    assert record.left == 0
    assert traces(home, GONE) == []
    assert len(list((settings.paths.privacy / "records").iterdir())) == 1


def test_rows_of_a_late_event_are_left_out(settings: PlatformSettings, key: PrivacyKey, home: Path) -> None:
    late = to_table(Event, [an_event(player, 99) for player in (GONE, STAYS)])
    with closing(open_warehouse(settings.warehouse_url)) as warehouse:
        stream = Forgotten(warehouse, key)
        assert stream.without(late) is late

        run(settings, key)

        assert stream.refresh()
        assert not stream.refresh()
        assert stream.without(late)["user_pseudo_id"].to_pylist() == [STAYS]


def test_rows_that_were_on_their_way_while_the_player_was_forgotten_are_erased_by_their_writer(
    settings: PlatformSettings, key: PrivacyKey, home: Path
) -> None:
    late = to_table(Event, [an_event(player, 99) for player in (GONE, STAYS)])
    with closing(open_warehouse(settings.warehouse_url)) as warehouse:
        stream = Forgotten(warehouse, key)
        rows = stream.without(late)
        run(settings, key)
        warehouse.append(EVENTS, rows, key="event_id")

        assert stream.settle(EVENTS, rows) == 1
        assert stream.settle(EVENTS, rows) == 0
    assert held(settings, key, GONE) == {}


def test_to_forget_twice_removes_nothing_more_and_remembers_once(
    settings: PlatformSettings, key: PrivacyKey, home: Path
) -> None:
    run(settings, key)
    again = run(settings, key)

    assert sum(place.removed for place in again.places) == 0
    with closing(open_warehouse(settings.warehouse_url)) as warehouse:
        assert warehouse.describe(FORGOTTEN).rows == 1


def test_a_player_of_whom_nothing_is_known_is_remembered_all_the_same(
    settings: PlatformSettings, key: PrivacyKey
) -> None:
    record = run(settings, key, "never seen")

    assert (record.left, sum(place.removed for place in record.places)) == (0, 0)
    with opened_places(settings, key) as (forgotten, _):
        assert "never seen" in forgotten


@dataclass(frozen=True)
class Unreachable:
    """A place as a managed queue is: it cannot take back what it holds."""

    name: str = "queue"

    def find(self, player: str) -> int:  # noqa: ARG002 - the signature of a holder
        raise BadInput("messages cannot be searched; they end by themselves after 7 days")

    def erase(self, player: str) -> int:  # noqa: ARG002 - as above
        raise BadInput("messages cannot be removed; they end by themselves after 7 days")


def test_what_cannot_be_removed_is_told_with_its_reason_and_the_rest_goes_on(
    settings: PlatformSettings, key: PrivacyKey, home: Path
) -> None:
    records = Records(settings.paths.privacy / "records", key)
    with opened_places(settings, key) as (forgotten, places):
        record, _ = forget(GONE, player_key="k", forgotten=forgotten, places=[Unreachable(), *places], records=records)

    assert [place.note for place in record.places if place.place == "queue"] == [
        "messages cannot be removed; they end by themselves after 7 days"
    ]
    assert traces(home, GONE) == []


def test_an_empty_id_is_refused(settings: PlatformSettings, key: PrivacyKey) -> None:
    with pytest.raises(BadInput, match="empty"):
        run(settings, key, "")
