"""Generations of the lookup: what is published is found, what is damaged is refused, and the old one answers on."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import lmdb
import pyarrow as pa
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from questline_core.errors import BadInput, NotReady
from questline_core.lookup import Damaged, Lookup, Manifest, Score, signing_key
from questline_core.lookup.holder import LookupHolder
from questline_core.lookup.metrics import LookupCollector
from questline_core.lookup.publish import SCHEMA, Terms, publish, writing
from questline_core.lookup.reader import open_generation
from questline_core.lookup.score import key_of
from questline_core.settings import PlatformSettings

KEY = b"k" * 32


def _rows(*rows: Sequence[Any]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([dict(zip(SCHEMA.names, row, strict=True)) for row in rows], schema=SCHEMA)


ANN = ("ann", 0.25, "trees", 0, ["cnt_user_engagement", "country"])
BOB = ("bob", 0.75, "bounced", None, None)


def _publish(root: Path, *rows: Sequence[Any], prior: float = 0.5, key: bytes = KEY) -> Manifest:
    return publish(root, [_rows(*rows)], Terms(prior=prior, threshold=0.4, lineage={"model": "churn.trees"}), key=key)


def _opened(root: Path) -> Lookup:
    lookup = Lookup(root, key=KEY)
    assert lookup.refresh()
    return lookup


def test_a_player_is_found_with_all_that_was_published(tmp_path: Path) -> None:
    _publish(tmp_path, ANN, BOB)

    assert _opened(tmp_path).get_many(["bob", "ann"]) == [
        Score(0.75, "bounced", None, ()),
        Score(0.25, "trees", churned=False, reasons=("cnt_user_engagement", "country")),
    ]


def test_a_player_who_is_not_known_gets_the_prior_and_is_told_so(tmp_path: Path) -> None:
    _publish(tmp_path, ANN, prior=0.125)

    assert _opened(tmp_path).get_many(["", "who?", "ann" * 400]) == [Score(0.125, "unknown", None, ())] * 3


def test_a_snapshot_without_players_answers_with_the_prior(tmp_path: Path) -> None:
    publish(tmp_path, [], Terms(prior=0.25, threshold=0.5, lineage={}), key=KEY)

    assert _opened(tmp_path).get("ann").source == "unknown"


def test_as_many_sources_as_fit_are_taken_and_a_batch_may_be_empty(tmp_path: Path) -> None:
    rows = [(f"p{at}", at / 255, f"s{at}", None, None) for at in range(256)]
    publish(tmp_path, [_rows(), _rows(*rows)], Terms(prior=0.25, threshold=0.5, lineage={}), key=KEY)

    scores = _opened(tmp_path).get_many(row[0] for row in rows)

    assert [score.source for score in scores] == [row[2] for row in rows]


def test_many_players_in_many_batches_are_all_found(tmp_path: Path) -> None:
    players = [hashlib.sha256(str(at).encode()).hexdigest() for at in range(40_000)]
    batches = [
        _rows(
            *((player, at / 40_000, f"s{at % 7}", at % 3 - 1 if at % 3 else None, [str(at % 5)]) for at, player in part)
        )
        for part in (list(enumerate(players))[start : start + 6_000] for start in range(0, 40_000, 6_000))
    ]
    told = publish(tmp_path, batches, Terms(prior=0.5, threshold=0.5, lineage={}), key=KEY)

    scores = _opened(tmp_path).get_many(players)

    assert told.players == 40_000
    for at, score in enumerate(scores):
        assert abs(score.probability - at / 40_000) < 1e-7
        assert score[1:] == (f"s{at % 7}", (None, False, True)[at % 3], (str(at % 5),))
    assert (tmp_path / told.generation / "players.mdb").stat().st_size < 40_000 * 36


def test_the_file_holds_hashes_and_no_ids(tmp_path: Path) -> None:
    _publish(tmp_path, ("a-rather-long-player-id", 0.5, "trees", None, None))

    content = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())

    assert b"a-rather-long-player-id" not in content
    assert key_of("a-rather-long-player-id") in content


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ([ANN, ANN], "two rows"),
        ([("ann", 1.5, "trees", None, None)], "probability .* is 1.5"),
        ([("ann", float("nan"), "trees", None, None)], "probability .* is nan"),
        ([("ann", 0.5, "unknown", None, None)], "'unknown' is the source"),
        ([(f"p{at}", 0.5, f"s{at}", None, None) for at in range(257)], "at most 256 sources"),
        ([(f"p{at}", 0.5, "s", None, [str(at)]) for at in range(2**16)], "at most 65536 different combinations"),
    ],
)
def test_rows_that_cannot_be_used_are_refused_and_what_answers_stays(
    tmp_path: Path, rows: list[Sequence[Any]], why: str
) -> None:
    told = _publish(tmp_path, ANN)

    with pytest.raises(BadInput, match=why):
        _publish(tmp_path, *rows)

    assert _opened(tmp_path).facts().generation == told.generation


@pytest.mark.parametrize("terms", [{"prior": 1.5}, {"threshold": float("nan")}])
def test_a_prior_and_a_threshold_are_probabilities(terms: dict[str, float]) -> None:
    with pytest.raises(BadInput, match=f"a {next(iter(terms))} for the lookup is"):
        Terms(**{"prior": 0.5, "threshold": 0.5, **terms}, lineage={})


def test_a_row_without_a_player_and_other_columns_are_refused(tmp_path: Path) -> None:
    lacking = pa.RecordBatch.from_pylist([{"probability": 0.5, "source": "x"}], schema=SCHEMA)
    terms = Terms(prior=0.5, threshold=0.5, lineage={})

    with pytest.raises(BadInput, match="no user_pseudo_id"):
        publish(tmp_path, [lacking], terms, key=KEY)
    with pytest.raises(BadInput, match="must have the columns"):
        publish(tmp_path, [lacking.select(["probability"])], terms, key=KEY)


def test_without_a_generation_the_lookup_says_what_to_do(tmp_path: Path) -> None:
    lookup = Lookup(tmp_path / "none", key=KEY)

    assert not lookup.refresh()
    with pytest.raises(NotReady, match="churn pipeline"):
        lookup.get("ann")


def test_a_new_generation_answers_after_a_refresh_and_the_one_before_keeps_its_answers(tmp_path: Path) -> None:
    first = _publish(tmp_path, ANN)
    lookup = _opened(tmp_path)
    held = lookup.generation
    second = _publish(tmp_path, ("ann", 0.875, "network", 1, None))

    assert (first.generation, second.generation) == ("g000001", "g000002")
    assert lookup.get("ann").probability == 0.25
    assert lookup.refresh()
    assert lookup.get("ann") == Score(0.875, "network", churned=True, reasons=())
    assert held.get("ann").probability == 0.25
    assert not lookup.refresh()


def test_a_folder_that_is_no_generation_is_neither_counted_nor_removed(tmp_path: Path) -> None:
    (tmp_path / "g000009.bak").mkdir()

    assert [_publish(tmp_path, ANN).generation for _ in range(3)] == ["g000001", "g000002", "g000003"]

    assert sorted(path.name for path in tmp_path.glob("g*")) == ["g000002", "g000003", "g000009.bak"]


def test_a_generation_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    told = _publish(tmp_path, ANN)
    before = sorted(tmp_path.iterdir())

    with writing(tmp_path) as writer, pytest.raises(lmdb.MapFullError):  # more rows than it was made for
        writer.put(replace(told, generation="g000002"), ((b"%016d" % at, b"v" * 99) for at in range(2**17)), key=KEY)

    assert sorted(tmp_path.iterdir()) == before


def test_old_generations_are_removed_and_who_has_one_mapped_reads_on(tmp_path: Path) -> None:
    _publish(tmp_path, ANN)
    lookup = _opened(tmp_path)
    for _ in range(3):
        _publish(tmp_path, BOB)

    assert sorted(path.name for path in tmp_path.glob("g*")) == ["g000003", "g000004"]
    assert lookup.get("ann").probability == 0.25


def _damage(folder: Path, file: str, change: str) -> None:
    path = folder / file
    path.chmod(0o644)
    content = path.read_bytes()
    at = min(100, len(content) - 1)
    changed = {
        "bit": content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :],
        "short": content[: len(content) // 2],
        "empty": b"",
    }
    if change == "missing":
        path.unlink()
    else:
        path.write_bytes(changed[change])


@pytest.mark.parametrize("change", ["bit", "short", "empty", "missing"])
@pytest.mark.parametrize("file", ["players.mdb", "lookup.json", "lookup.sig"])
def test_a_damaged_generation_is_refused_and_the_old_one_answers_on(tmp_path: Path, file: str, change: str) -> None:
    first = _publish(tmp_path, ANN)
    lookup = _opened(tmp_path)
    second = _publish(tmp_path, BOB)
    _damage(tmp_path / second.generation, file, change)

    assert not lookup.refresh()
    assert lookup.get("ann").probability == 0.25
    assert (lookup.facts().generation, bool(lookup.facts().refused)) == (first.generation, True)
    assert not Lookup(tmp_path, key=KEY).refresh()

    _publish(tmp_path, BOB)
    assert lookup.refresh()
    assert lookup.facts().refused == ""


def test_a_generation_that_another_key_signed_is_refused(tmp_path: Path) -> None:
    told = _publish(tmp_path, ANN, key=b"x" * 32)

    with pytest.raises(Damaged, match="signature"):
        open_generation(tmp_path / told.generation, key=KEY)


def test_a_generation_in_the_folder_of_another_is_refused(tmp_path: Path) -> None:
    told = _publish(tmp_path, ANN)
    (tmp_path / told.generation).rename(tmp_path / "g000009")

    with pytest.raises(Damaged, match="it says that it is g000001"):
        open_generation(tmp_path / "g000009", key=KEY)


def test_a_name_that_points_to_nothing_is_refused(tmp_path: Path) -> None:
    _publish(tmp_path, ANN)
    lookup = _opened(tmp_path)
    (tmp_path / "CURRENT").write_text("g000007")

    assert not lookup.refresh()
    assert lookup.get("ann").probability == 0.25


def test_a_process_killed_while_it_publishes_changes_nothing_and_its_rest_is_swept_up(tmp_path: Path) -> None:
    _publish(tmp_path, ANN)
    program = f"""
import os, signal
from pathlib import Path
import questline_core.lookup.publish as publishing
publishing.write_manifest = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
publishing.publish(Path({str(tmp_path)!r}), [], publishing.Terms(prior=0.5, threshold=0.5, lineage={{}}), key={KEY!r})
"""
    killed = subprocess.run([sys.executable, "-c", program], check=False, timeout=60)

    assert killed.returncode == -9
    assert len(list(tmp_path.glob(".g*"))) == 1
    assert _opened(tmp_path).get("ann").probability == 0.25
    assert _publish(tmp_path, BOB).generation == "g000002"
    assert list(tmp_path.glob(".g*")) == []


def test_answers_stay_whole_while_generations_are_swapped_under_load(tmp_path: Path) -> None:
    players = [f"p{at}" for at in range(200)]

    def put(number: int) -> None:
        _publish(tmp_path, *((player, number / 64, "trees", None, [str(number)]) for player in players))

    put(1)
    lookup = _opened(tmp_path)
    seen, failures, done = set(), [], threading.Event()

    def ask() -> None:
        try:
            while not done.is_set():
                answers = set(lookup.get_many(players))
                assert len(answers) == 1, answers
                seen.add(answers.pop())
        except BaseException as error:  # noqa: BLE001 - shown below
            failures.append(error)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(2, 14):
        put(number)
        assert lookup.refresh()
    done.set()
    for thread in threads:
        thread.join()

    assert failures == []
    assert len(seen) > 1
    assert all(score.reasons == (str(round(score.probability * 64)),) for score in seen)


def test_an_erased_player_is_in_no_generation_and_others_stay(tmp_path: Path) -> None:
    _publish(tmp_path, ANN, BOB)
    _publish(tmp_path, ANN, BOB, prior=0.75)
    lookup = _opened(tmp_path)
    holder = LookupHolder(tmp_path, KEY)

    assert holder.find("ann") == 2
    assert holder.erase("ann") == 2
    assert (holder.find("ann"), holder.erase("ann")) == (0, 0)
    assert [path.name for path in tmp_path.glob("g*")] == ["g000003"]
    assert lookup.refresh()
    assert lookup.facts().players == 1
    assert lookup.get_many(["ann", "bob"]) == [Score(0.75, "unknown", None, ()), Score(0.75, "bounced", None, ())]
    content = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert key_of("ann") not in content
    assert key_of("bob") in content


def test_a_generation_that_cannot_be_searched_is_removed_when_a_player_is_erased(tmp_path: Path) -> None:
    old = _publish(tmp_path, ANN)
    _publish(tmp_path, BOB)
    _damage(tmp_path / old.generation, "players.mdb", "bit")
    holder = LookupHolder(tmp_path, KEY)

    assert (holder.find("ann"), holder.erase("ann")) == (1, 1)

    assert [path.name for path in tmp_path.glob("g*")] == ["g000003"]
    assert _opened(tmp_path).get("bob").source == "bounced"


def test_nothing_is_erased_while_the_generation_that_answers_is_damaged(tmp_path: Path) -> None:
    _publish(tmp_path, ANN)
    answering = _publish(tmp_path, ANN, BOB)
    _damage(tmp_path / answering.generation, "players.mdb", "bit")

    with pytest.raises(Damaged):
        LookupHolder(tmp_path, KEY).erase("ann")

    assert sorted(path.name for path in tmp_path.glob("g*")) == ["g000001", "g000002"]


def test_erasing_where_nothing_was_published_finds_nothing(tmp_path: Path) -> None:
    holder = LookupHolder(tmp_path / "none", KEY)

    assert (holder.find("ann"), holder.erase("ann")) == (0, 0)
    assert not (tmp_path / "none").exists()


def test_metrics_tell_generation_age_players_and_refusal(tmp_path: Path) -> None:
    _publish(tmp_path, ANN, BOB)
    lookup = _opened(tmp_path)
    registry = CollectorRegistry()
    registry.register(LookupCollector(lambda: {"churn": lookup.facts()}))

    told = generate_latest(registry).decode()

    assert 'questline_lookup_generation{generation="g000001",lookup="churn"} 1.0' in told
    assert 'questline_lookup_players{lookup="churn"} 2.0' in told
    assert 'questline_lookup_refused{lookup="churn"} 0.0' in told
    assert 'questline_lookup_age_seconds{lookup="churn"}' in told


def test_the_signing_key_follows_from_the_installations_secret(tmp_path: Path) -> None:
    here, there = (PlatformSettings(home=tmp_path / name) for name in ("here", "there"))

    assert signing_key(here) == signing_key(here)
    assert signing_key(here) != signing_key(there)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)

    with pytest.raises(BadInput, match="cannot write the lookup"):
        _publish(tmp_path / "lookup", ANN)
