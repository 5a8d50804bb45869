"""What is removed from the snapshot is gone from its file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from questline_core.features.state import PlayerState
from questline_core.features.store import open_reader, open_writer

PLAYERS = 3_000


def known(folder: Path) -> None:
    with open_writer(folder) as store:
        for events in (1, 2):  # a second version of every player leaves pages of the first behind
            for start in range(0, PLAYERS, 500):
                store.put_many(
                    (f"player-{n:06}", PlayerState(events=events, country=f"land of {n:06}"))
                    for n in range(start, start + 500)
                )


# The first of all, those at the borders of pages, and the last.
@pytest.mark.parametrize("number", [0, 1, 17, 500, 1_499, 1_500, PLAYERS - 1])
def test_an_erased_player_is_in_no_byte_of_the_file_and_the_others_stay(tmp_path: Path, number: int) -> None:
    known(tmp_path)
    player = f"player-{number:06}"
    with open_writer(tmp_path) as store:
        assert store.erase(player)
        content = (tmp_path / "data.mdb").read_bytes()
        assert player.encode() not in content
        assert f"land of {number:06}".encode() not in content
        assert not store.erase(player)

    with open_reader(tmp_path) as store:
        assert store.get(player) is None
        left = [store.get(f"player-{n:06}") for n in range(PLAYERS) if n != number]
        assert {state.events for state in left if state} == {2}
        assert None not in left


def test_a_player_whose_id_is_part_of_others_is_gone_and_they_are_not(tmp_path: Path) -> None:
    with open_writer(tmp_path) as store:
        store.put_many([("p1", PlayerState(events=1)), ("p10", PlayerState(events=10))])
        assert store.erase("p1")
        assert store.get("p1") is None
        assert store.get("p10") == PlayerState(events=10)


def test_a_snapshot_that_another_process_reads_and_writes_goes_on(tmp_path: Path) -> None:
    known(tmp_path)
    other = (
        "import sys; from pathlib import Path; from questline_core.features.store import open_writer; "
        "from questline_core.features.state import PlayerState\n"
        "store = open_writer(Path(sys.argv[1])); store.get('player-000007'); print('open', flush=True); sys.stdin.readline()\n"
        "store.put_many([('newcomer', PlayerState(events=9))]); print(store.get('player-000007'), store.get('player-000008').events)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", other, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "open\n"
        with open_writer(tmp_path) as store:
            store.erase("player-000007")
            said, _ = process.communicate("\n", timeout=30)
            assert said == "None 2\n"
            assert store.get("newcomer") == PlayerState(events=9)
