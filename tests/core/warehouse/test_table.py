"""The files of an embedded table: merged without a reader noticing, deleted late, written by one process at a time."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import resource
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from questline_core.errors import BadInput, NotReady
from questline_core.testing.warehouse_contract import BATCH_ROWS, SCHEMA, TABLE, batch, elsewhere, lines, rows
from questline_core.warehouse.embedded import EmbeddedWarehouse, open_embedded
from questline_core.warehouse.lock import LOCK, write_lock
from questline_core.warehouse.manifest import GRACE_S, MANIFEST, Part, read_manifest
from questline_core.warehouse.port import Appended
from questline_core.warehouse.table import FULL_PART_ROWS, MANY_PARTS, choose_to_merge


@pytest.fixture
def folder(warehouse: EmbeddedWarehouse, tmp_path: Path) -> Path:
    warehouse.create(TABLE, SCHEMA)
    return tmp_path / "warehouse/game/scores"


def fill(warehouse: EmbeddedWarehouse, appends: int) -> None:
    for number in range(appends):
        warehouse.append(TABLE, batch(number), key="event_id")


def parts(folder: Path) -> tuple[Part, ...]:
    manifest = read_manifest(folder)
    assert manifest is not None
    return manifest.parts


def age(folder: Path, seconds: float) -> None:
    for path in folder.glob("*.parquet*"):
        os.utime(path, (time.time() - seconds, time.time() - seconds))


def test_many_small_appends_leave_few_files_and_all_rows(warehouse: EmbeddedWarehouse, folder: Path) -> None:
    fill(warehouse, 3 * MANY_PARTS)

    assert len(parts(folder)) <= MANY_PARTS + 1
    found = warehouse.query("SELECT COUNT(*) AS n, COUNT(DISTINCT event_id) AS d FROM game.scores").to_pylist()
    assert found == [{"n": 3 * MANY_PARTS * BATCH_ROWS, "d": 3 * MANY_PARTS * BATCH_ROWS}]


def test_merging_files_is_no_change_of_content(warehouse: EmbeddedWarehouse, folder: Path) -> None:
    versions = set[str]()
    for number in range(MANY_PARTS + 1):
        warehouse.append(TABLE, batch(number), key="event_id")
        versions.add(warehouse.version(TABLE))

    assert len(parts(folder)) == 1
    assert len(versions) == MANY_PARTS + 1
    assert warehouse.version(TABLE) in versions


def test_a_key_is_known_after_its_file_was_merged(warehouse: EmbeddedWarehouse, folder: Path, tmp_path: Path) -> None:
    fill(warehouse, MANY_PARTS + 1)
    fresh = open_embedded(str(tmp_path / "warehouse"))

    assert warehouse.append(TABLE, batch(3), key="event_id").rows == 0
    assert fresh.append(TABLE, batch(3), key="event_id").rows == 0
    fresh.close()


def test_files_from_before_a_column_was_added_are_merged_with_later_ones(
    warehouse: EmbeddedWarehouse, tmp_path: Path
) -> None:
    folder = tmp_path / "warehouse/game/scores"
    warehouse.create(TABLE, pa.schema([SCHEMA.field("event_id")]))
    for number in range(MANY_PARTS // 2):
        warehouse.append(TABLE, batch(number).select(["event_id"]), key="event_id")
    warehouse.create(TABLE, SCHEMA)
    assert warehouse.erase(TABLE, column="score", values=[1]) == 0

    for number in range(MANY_PARTS // 2, MANY_PARTS + 1):
        warehouse.append(TABLE, batch(number), key="event_id")

    assert len(parts(folder)) == 1
    found = warehouse.query("SELECT COUNT(*) AS n, COUNT(score) AS scores, MIN(score) AS least FROM game.scores")
    later = (MANY_PARTS // 2 + 1) * BATCH_ROWS
    assert found.to_pylist() == [{"n": (MANY_PARTS + 1) * BATCH_ROWS, "scores": later, "least": MANY_PARTS // 2}]


def test_rows_are_not_rewritten_with_every_merge() -> None:
    small = tuple(Part(file=f"s{n}", rows=10) for n in range(MANY_PARTS))
    large = (Part(file="large", rows=100_000), Part(file="full", rows=FULL_PART_ROWS))

    assert choose_to_merge((*large, *small[:30])) == ()
    assert choose_to_merge((*large, *small)) == small


def test_one_merge_is_bounded() -> None:
    chosen = choose_to_merge(tuple(Part(file=f"p{n}", rows=FULL_PART_ROWS // 3) for n in range(MANY_PARTS + 1)))

    assert 2 <= len(chosen) <= 5


def test_a_merged_file_stays_for_readers_that_began_before(warehouse: EmbeddedWarehouse, folder: Path) -> None:
    fill(warehouse, MANY_PARTS)
    before = {part.file for part in parts(folder)}
    age(folder, 10 * GRACE_S)
    warehouse.append(TABLE, batch(MANY_PARTS), key="event_id")

    assert len(parts(folder)) == 1
    assert all((folder / file).exists() for file in before)


def test_files_that_nothing_names_are_deleted_after_the_grace_period(
    warehouse: EmbeddedWarehouse, folder: Path
) -> None:
    fill(warehouse, MANY_PARTS + 1)
    (folder / "part-of-a-killed-writer.parquet.aside").write_bytes(b"half")
    (folder / "part-young.parquet").write_bytes(b"another writer is busy with it")
    age(folder, GRACE_S + 1)
    os.utime(folder / "part-young.parquet")
    warehouse.replace(TABLE, rows("a"))

    left = {path.name for path in folder.glob("*.parquet*")}

    # What the replacement has just retired stays for now; what was merged away before it is gone.
    assert "part-of-a-killed-writer.parquet.aside" not in left
    assert "part-young.parquet" in left
    assert len(left) == 5


def test_readers_notice_nothing_of_merging(warehouse: EmbeddedWarehouse, folder: Path, tmp_path: Path) -> None:
    with elsewhere("read_for_ever", f"duckdb:{tmp_path / 'warehouse'}") as reader:
        seen = lines(reader, 1)
        fill(warehouse, 3 * MANY_PARTS)
        seen += lines(reader, 40)

    counts = [tuple(map(int, line.split())) for line in seen]
    assert all(found == batches * BATCH_ROWS for found, batches in counts)


def test_a_writer_that_waits_too_long_names_the_process_that_holds_the_table(folder: Path) -> None:
    with (
        write_lock(folder),
        pytest.raises(NotReady, match=f"process {os.getpid()} has been writing to game.scores for 0.05 s"),
        write_lock(folder, patience_s=0.05),
    ):
        pass


def test_a_writer_waits_for_another_one(warehouse: EmbeddedWarehouse, folder: Path) -> None:
    import threading

    with (folder / LOCK).open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        threading.Timer(0.2, lambda: fcntl.flock(held, fcntl.LOCK_UN)).start()
        began = time.monotonic()
        warehouse.append(TABLE, rows("a"))
        assert time.monotonic() - began >= 0.15


def test_two_tables_are_written_at_once(warehouse: EmbeddedWarehouse, folder: Path, tmp_path: Path) -> None:
    with write_lock(folder):
        warehouse.replace("game.other", rows("a"))

    assert warehouse.describe("game.other").rows == 1


def test_a_reader_needs_no_lock(warehouse: EmbeddedWarehouse, folder: Path) -> None:
    with write_lock(folder):
        assert warehouse.query("SELECT COUNT(*) AS n FROM game.scores").to_pylist() == [{"n": 0}]


def test_an_append_that_fails_leaves_nothing_behind(
    warehouse: EmbeddedWarehouse, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    before = sorted(folder.iterdir())
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(BadInput, match=r"No space left on device.*make room"):
            warehouse.append(TABLE, rows("a"), key="event_id")

    assert sorted(folder.iterdir()) == before
    assert warehouse.append(TABLE, rows("a"), key="event_id").rows == 1


def test_an_append_whose_files_cannot_be_merged_is_stored_and_says_so(
    warehouse: EmbeddedWarehouse, folder: Path
) -> None:
    fill(warehouse, MANY_PARTS)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    largest = max(path.stat().st_size for path in folder.iterdir())
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest + 1_000, before[1]))  # the merged file has no room
    try:
        appended = warehouse.append(TABLE, batch(MANY_PARTS), key="event_id")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    assert appended == Appended(rows=BATCH_ROWS, skipped=0)
    assert len(parts(folder)) == MANY_PARTS + 1
    fill(warehouse, MANY_PARTS + 2)  # the next one merges
    assert warehouse.describe(TABLE).rows == (MANY_PARTS + 2) * BATCH_ROWS
    assert len(parts(folder)) < MANY_PARTS


def test_queries_run_in_several_threads(warehouse: EmbeddedWarehouse, folder: Path) -> None:
    fill(warehouse, 5)
    query = "SELECT COUNT(*) AS n FROM game.scores WHERE score < @limit"

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda limit: warehouse.query(query, limit=limit)["n"][0].as_py(), range(6)))

    assert found == [limit * BATCH_ROWS for limit in range(6)]


def test_a_name_with_a_path_in_it_is_refused(warehouse: EmbeddedWarehouse) -> None:
    for name in ("../x.y", "a.b/c", "a", "a.b.c", "a..b", ".a.b"):
        with pytest.raises(BadInput, match=r"DATASET.TABLE"):
            warehouse.create(name, SCHEMA)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    blocked = open_embedded(str(tmp_path / "file/warehouse"))

    with pytest.raises(BadInput, match=r"cannot write .*file/warehouse/game/scores.*QUESTLINE_HOME"):
        blocked.create(TABLE, SCHEMA)
    blocked.close()


def test_a_warehouse_that_is_not_there_yet_has_no_tables(tmp_path: Path) -> None:
    fresh = open_embedded(str(tmp_path / "nowhere"))

    assert fresh.tables() == []
    assert fresh.query("SELECT 1 AS one").to_pylist() == [{"one": 1}]
    assert not (tmp_path / "nowhere").exists()
    fresh.close()


def test_a_manifest_of_a_newer_questline_is_not_guessed_at(warehouse: EmbeddedWarehouse, folder: Path) -> None:
    facts = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps(facts | {"format": 2}))

    with pytest.raises(BadInput, match=r"install a newer one"):
        warehouse.query("SELECT * FROM game.scores")


@pytest.mark.parametrize("content", ["{", "{}", "[]", '{"format": 1}'])
def test_a_damaged_manifest_is_named(warehouse: EmbeddedWarehouse, folder: Path, content: str) -> None:
    (folder / MANIFEST).write_text(content)

    with pytest.raises(BadInput, match=r"_manifest.json is damaged"):
        warehouse.append(TABLE, rows("a"))


def test_a_table_made_anew_has_a_version_of_its_own(warehouse: EmbeddedWarehouse, folder: Path) -> None:
    import shutil

    warehouse.append(TABLE, rows("a"), key="event_id")
    old = warehouse.version(TABLE)
    shutil.rmtree(folder)
    warehouse.create(TABLE, SCHEMA)

    assert warehouse.append(TABLE, rows("a"), key="event_id").rows == 1
    assert warehouse.version(TABLE) != old


def test_parquet_files_keep_the_columns_of_the_table(warehouse: EmbeddedWarehouse, folder: Path) -> None:
    fill(warehouse, MANY_PARTS + 1)

    [part] = parts(folder)
    assert pq.read_schema(folder / part.file) == SCHEMA


def test_names_of_list_items_do_not_make_another_type(warehouse: EmbeddedWarehouse, folder: Path) -> None:
    param = SCHEMA.field("params").type.value_type
    odd = pa.list_(pa.field("element", param))
    warehouse.append(TABLE, pa.table({"event_id": ["a"], "params": pa.array([[{"key": "k"}]], odd)}))

    assert warehouse.query("SELECT params[OFFSET(0)].key AS k FROM game.scores").to_pylist() == [{"k": "k"}]
