"""The lookup beside a Python dict and a DuckDB query: memory, CPU a lookup, the cost of a swap; ratios of one run.

    .venv/bin/python tests/benchmarks/bench_lookup.py [PLAYERS …]     1000000 and 10000000 without arguments

Every store runs in a process of its own, since a freed dict leaves its memory with the process. CPU is user and system
time of the process; private memory is what no file stands behind, and the mapped file is told apart, as all share it.
Ids are 32 hexadecimal digits, drawn by a seed: half of the questions are for players who are there.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import psutil
import pyarrow as pa

from questline_core.lookup import CURRENT, Lookup
from questline_core.lookup.publish import SCHEMA, Terms, publish, writing

KEY = b"benchmark"
ASKED = 200_000
BATCH_ROWS = 500_000
TERMS = Terms(prior=0.2, threshold=0.4, lineage={})


def player(number: int) -> str:
    """Give the id of a player."""
    return f"{(number * 0x9E3779B97F4A7C15F39CC0605CEDC835 + 1) % 2**128:032X}"


def batches(players: int) -> Iterator[pa.RecordBatch]:
    """Make the rows of all players."""
    for start in range(0, players, BATCH_ROWS):
        numbers = range(start, min(start + BATCH_ROWS, players))
        columns: dict[str, Any] = {
            "user_pseudo_id": [player(number) for number in numbers],
            "probability": [number % 1000 / 1000 for number in numbers],
            "source": ["trees" if number % 5 else "bounced" for number in numbers],
            "churned": [None] * len(numbers),
            "reasons": [[f"feature{number % 11}", f"feature{number % 7}"] for number in numbers],
        }
        yield pa.RecordBatch.from_pydict(columns, schema=SCHEMA)


def questions(players: int, *, count: int = ASKED) -> list[str]:
    """Draw players to ask for, half of them known."""
    dice = random.Random(6)
    return [player(dice.randrange(players) if at % 2 else players + at) for at in range(count)]


def private_bytes() -> int:
    """Tell the memory of this process that no file stands behind."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon:"))


def measured(ask: Callable[[str], Any], asked: list[str]) -> float:
    """Give the CPU of one lookup in microseconds, the least of three rounds."""
    rounds = []
    for _ in range(3):
        start = time.process_time()
        for one in asked:
            ask(one)
        rounds.append((time.process_time() - start) / len(asked) * 1e6)
    return min(rounds)


def of_lookup(root: Path, players: int) -> dict[str, Any]:
    """Open the snapshot and ask it, one by one and in batches of 100."""
    asked = questions(players)
    before, start = private_bytes(), time.process_time()
    lookup = Lookup(root, key=KEY)
    lookup.refresh()
    opened_s = time.process_time() - start
    hundreds = [asked[at : at + 100] for at in range(0, len(asked), 100)]
    start = time.process_time()
    for some in hundreds:
        lookup.get_many(some)
    batch_us = (time.process_time() - start) / len(asked) * 1e6
    generation = lookup.generation
    return {
        "open_s": opened_s,
        "one_us": measured(lookup.get, asked),
        "batch_us": batch_us,
        "private_mib": (private_bytes() - before) / 2**20,
        "file_mib": (generation.folder / "players.mdb").stat().st_size / 2**20,
    }


def of_dict(players: int) -> dict[str, Any]:
    """Hold the same in a dict of tuples, which is the plain way."""
    asked = questions(players)
    before, start = private_bytes(), time.process_time()
    known = {
        player(number): (number % 1000 / 1000, "trees" if number % 5 else "bounced", None, (f"feature{number % 11}",))
        for number in range(players)
    }
    opened_s = time.process_time() - start
    return {
        "open_s": opened_s,
        "one_us": measured(known.get, asked),
        "private_mib": (private_bytes() - before) / 2**20,
    }


def of_duckdb(folder: Path, players: int) -> dict[str, Any]:
    """Ask a table with a primary key, one player at a time."""
    before, start = private_bytes(), time.process_time()
    connection = duckdb.connect(str(folder / "scores.duckdb"))
    connection.execute("CREATE TABLE scores (player VARCHAR PRIMARY KEY, probability DOUBLE, source VARCHAR)")
    for batch in batches(players):
        rows = pa.Table.from_batches([batch])  # noqa: F841 - DuckDB finds it by its name
        connection.execute("INSERT INTO scores SELECT user_pseudo_id, probability, source FROM rows")
    opened_s = time.process_time() - start
    ask = "SELECT probability, source FROM scores WHERE player = ?"
    asked = questions(players, count=1_000)
    return {
        "open_s": opened_s,
        "one_us": measured(lambda one: connection.execute(ask, [one]).fetchone(), asked),
        "private_mib": (private_bytes() - before) / 2**20,
    }


def of_swaps(root: Path, players: int) -> dict[str, Any]:
    """Swap two generations under a thread that asks all the time: what was wrong, and how long the longest took."""
    lookup = Lookup(root, key=KEY)
    lookup.refresh()
    with writing(root) as writer:  # the second one, with the same players
        told = replace(lookup.generation.told, generation=writer.next_name())
        writer.put(told, lookup.generation.pairs(), key=KEY)
    asked, done = questions(players, count=20_000), threading.Event()
    expected = lookup.get_many(asked)
    answers, wrong, longest_s = 0, 0, 0.0

    def ask() -> None:
        nonlocal answers, wrong, longest_s
        while not done.is_set():
            for one, score in zip(asked, expected, strict=True):
                start = time.perf_counter()
                wrong += lookup.get(one) != score
                longest_s = max(longest_s, time.perf_counter() - start)
                answers += 1

    asking = threading.Thread(target=ask)
    asking.start()
    names, swaps = sorted(path.name for path in root.glob("g0*")), 0
    for at in range(6):
        (root / CURRENT).write_text(names[at % 2])
        swaps += lookup.refresh()
        time.sleep(0.2)
    done.set()
    asking.join()
    return {"swaps": swaps, "answers": answers, "wrong": wrong, "longest_answer_ms": longest_s * 1e3}


def in_a_process(what: str, folder: Path, players: int) -> dict[str, Any]:
    """Run one of the measurements in a process of its own."""
    command = [sys.executable, __file__, "--one", what, str(folder), str(players)]
    ended = subprocess.run(command, check=True, capture_output=True, text=True)
    told: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return told


def one(what: str, folder: Path, players: int) -> dict[str, Any]:
    """Measure one thing in this process."""
    if what == "build":
        start = time.process_time()
        publish(folder / "lookup", batches(players), TERMS, key=KEY)
        return {"build_s": time.process_time() - start, "peak_mib": psutil.Process().memory_info().rss / 2**20}
    if what == "dict":
        return of_dict(players)
    if what == "duckdb":
        return of_duckdb(folder, players)
    return of_swaps(folder / "lookup", players) if what == "swaps" else of_lookup(folder / "lookup", players)


def compare(players: int) -> None:
    """Measure all stores with so many players, and print them with their ratios."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        built = in_a_process("build", folder, players)
        found = {what: in_a_process(what, folder, players) for what in ("lookup", "dict", "duckdb", "swaps")}
    lookup = found["lookup"]
    print(f"{players:,} players; built in {built['build_s']:.1f} CPU-s")
    for what in ("lookup", "dict", "duckdb"):
        told = found[what]
        print(
            f"  {what:7} ready after {told['open_s']:7.2f} CPU-s   one lookup {told['one_us']:8.2f} CPU-µs"
            f"   private {told['private_mib']:7.0f} MiB"
        )
    print(
        f"  the lookup's file {lookup['file_mib']:.0f} MiB, shared; {lookup['batch_us']:.2f} CPU-µs a player in hundreds"
    )
    print(
        f"  ratios: memory of the dict {found['dict']['private_mib'] / (lookup['file_mib'] + lookup['private_mib']):.1f} times"
        f" the lookup's; a dict's lookup {found['dict']['one_us'] / lookup['one_us']:.2f}, DuckDB's"
        f" {found['duckdb']['one_us'] / lookup['one_us']:.0f} times the lookup's"
    )
    swaps = found["swaps"]
    print(
        f"  {swaps['swaps']} swaps under load: {swaps['answers']:,} answers meanwhile, {swaps['wrong']} wrong;"
        f" the longest took {swaps['longest_answer_ms']:.2f} ms by the clock"
    )


def main() -> None:
    """Compare for each number of players."""
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(one(sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]))))
        return
    for players in map(int, sys.argv[1:] or ["1000000", "10000000"]):
        compare(players)


if __name__ == "__main__":
    main()
