"""The snapshot of running state."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import lmdb
import pytest

from questline_core.errors import BadInput, NotReady
from questline_core.features.state import PlayerState, decode, encode
from questline_core.features.store import open_reader, open_writer

ANNA = PlayerState(
    events=7,
    engagement_ms=0.5,
    first_touch_micros=2**53 + 1,
    last_event_micros=2**63 - 1,
    country="Côte d’Ivoire",  # noqa: RUF001 - its real spelling
    time_zone_offset_seconds=-25_200,
)


def write(folder: Path, player: str, state: PlayerState) -> None:
    with open_writer(folder) as store:
        store.put_many([(player, state)])


def test_a_state_comes_back_as_it_was_put(tmp_path: Path) -> None:
    write(tmp_path, "anna", ANNA)

    with open_reader(tmp_path) as store:
        assert store.get("anna") == ANNA
        assert store.get("bert") is None


def test_a_later_state_replaces_the_earlier_one(tmp_path: Path) -> None:
    write(tmp_path, "anna", PlayerState(events=1))
    write(tmp_path, "anna", ANNA)

    with open_reader(tmp_path) as store:
        assert store.get("anna") == ANNA


def test_a_reader_may_come_before_the_first_snapshot(tmp_path: Path) -> None:
    with open_reader(tmp_path / "features") as store:
        assert store.get("anna") is None

        write(tmp_path / "features", "anna", ANNA)

        assert store.get("anna") == ANNA


def test_a_reader_sees_what_another_process_writes_meanwhile(tmp_path: Path) -> None:
    write(tmp_path, "anna", PlayerState(events=1))
    program = (
        "import sys; from pathlib import Path\n"
        "from questline_core.features.store import open_reader\n"
        "store = open_reader(Path(sys.argv[1]))\n"
        "for _ in sys.stdin: print(store.get('anna').events, flush=True)\n"
    )
    with (
        subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as reader,
        open_writer(tmp_path) as store,
    ):
        assert reader.stdin is not None
        assert reader.stdout is not None
        seen = []
        for events in (1, 2, 3):
            store.put_many([("anna", PlayerState(events=events))])
            reader.stdin.write("\n")
            reader.stdin.flush()
            seen.append(int(reader.stdout.readline()))
        reader.stdin.close()

    assert seen == [1, 2, 3]


@pytest.mark.parametrize("player", ["", "x" * 511, "x" * 512, "ж" * 400])
def test_any_id_is_a_key(tmp_path: Path, player: str) -> None:
    write(tmp_path, player, ANNA)

    with open_reader(tmp_path) as store:
        assert store.get(player) == ANNA
        assert store.get(player + "x") is None


def test_a_state_of_another_layout_counts_as_unknown(tmp_path: Path) -> None:
    packed = json.loads(encode(ANNA))
    other = json.dumps([packed[0] + 1, *packed[1:], "a new field"]).encode()

    assert decode(other) is None


def test_a_failed_write_leaves_nothing_behind(tmp_path: Path) -> None:
    def states() -> object:
        yield "anna", ANNA
        raise RuntimeError

    with open_writer(tmp_path) as store:
        with pytest.raises(RuntimeError):
            store.put_many(states())  # type: ignore[arg-type]

        assert store.get("anna") is None


def test_the_file_takes_the_room_of_its_states_and_not_of_its_map(tmp_path: Path) -> None:
    with open_writer(tmp_path) as store:
        store.put_many((f"player-{number}", ANNA) for number in range(10_000))

    assert (tmp_path / "data.mdb").stat().st_size < 10_000_000


def test_a_reader_cannot_write(tmp_path: Path) -> None:
    write(tmp_path, "anna", ANNA)

    with open_reader(tmp_path) as store, pytest.raises(BadInput, match="opened to read"):
        store.put_many([("anna", ANNA)])


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(BadInput, match="make the folder writable or set QUESTLINE_HOME"):
        open_writer(tmp_path / "file" / "features")


def test_a_damaged_snapshot_is_told_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "data.mdb").write_bytes(b"no snapshot" * 1000)

    with (
        open_reader(tmp_path) as store,
        pytest.raises(NotReady, match="remove the folder and the stream writes it again"),
    ):
        store.get("anna")


def test_lmdb_allows_one_handle_a_process_so_a_second_one_is_told(tmp_path: Path) -> None:
    write(tmp_path, "anna", ANNA)

    with open_reader(tmp_path) as first, open_reader(tmp_path) as second:
        assert first.get("anna") == ANNA
        with pytest.raises(NotReady, match="already open in this process"):
            second.get("anna")
    assert lmdb.version() >= (0, 9)
