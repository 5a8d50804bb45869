"""Examples that break a rule, or have nothing to do with the last ones, stop a run and are explained."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from kfp import dsl

from questline_components.spend.validate import validate as step
from questline_core.errors import BadInput
from questline_core.features.online import NUMBERS, TEXTS
from questline_core.monitoring.profile import Profile
from questline_core.spend.arrays import read_examples
from questline_core.spend.examples import SCHEMA
from questline_core.validation.examples import BadExamples, Validation, validate

ROWS = 400
Rows = list[dict[str, Any]]


def examples(*, seed: int = 1, rows: int = ROWS) -> Rows:
    """Generated rows that keep every rule."""
    draw = np.random.default_rng(seed)
    return [
        {
            "player": f"p{row}",
            "at_micros": 1_790_000_000_000_000 + row,
            **{name: float(draw.integers(1, 20)) for name in NUMBERS},
            **{f"{name}_{span}": float(at) for name in ("events", "fails", "spends", "spend_sum") for at, span in enumerate(("1h", "24h", "7d"))},
            "local_hour": float(draw.integers(0, 24)),
            "skill": float(draw.random()),
            **dict.fromkeys(TEXTS, "x"),
            "country": str(draw.choice(["DE", "FR", "JP"])),
            "spend": float(row % 5 == 0),
        }
        for row in range(rows)
    ]  # fmt: skip


def write(folder: Path, train: Rows | None = None, schema: pa.Schema = SCHEMA) -> Path:
    folder.mkdir(exist_ok=True)
    for name, rows in (("train", examples() if train is None else train), ("eval", examples(seed=2))):
        pq.write_table(pa.Table.from_pylist(rows, schema=schema), folder / f"{name}.parquet")
    return folder


def profile(folder: Path, rows: Rows) -> Profile:
    return Profile.of(read_examples(write(folder, rows) / "train.parquet").inputs)


def judge(folder: Path, rows: Rows, last: Profile | None = None, override: str = "") -> Validation:
    return validate(write(folder, rows), last=last, override=override)


def test_sound_examples_pass_without_a_finding(tmp_path: Path) -> None:
    found = judge(tmp_path, examples())

    assert found.findings == []
    assert found.rows == {"train": ROWS, "eval": ROWS}


def change(column: str, value: Any) -> Callable[[Rows], None]:
    def apply(rows: Rows) -> None:
        rows[7][column] = value

    return apply


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("events", -1.0, "not negative"),
        ("spend", math.inf, "finite"),
        ("spend", math.nan, "is known"),
        ("local_hour", 24.5, "from 0 to 24"),
        ("skill", 1.2, "from 0 to 1"),
        ("player", "", "not empty"),
        ("at_micros", 0, "after 1970"),
        ("events_1h", 99.0, "events_1h is not more than events_24h"),
        ("spend_sum_24h", 99.0, "spend_sum_24h is not more than spend_sum_7d"),
    ],
)
def test_one_row_that_breaks_a_rule_stops_and_is_shown(tmp_path: Path, column: str, value: Any, words: str) -> None:
    rows = examples()
    change(column, value)(rows)

    stops = judge(tmp_path, rows).stops

    assert [(finding.part, finding.rows) for finding in stops] == [("train", 1)]
    assert words in str(stops[0])
    assert column in str(stops[0])


def test_unknown_is_allowed_only_where_a_player_may_not_have_done_it(tmp_path: Path) -> None:
    rows = examples()
    rows[0] |= {"skill": math.nan, "days_since_last_spend": math.nan, "events": math.nan}

    assert [finding.column for finding in judge(tmp_path, rows).stops] == ["events"]


@pytest.mark.parametrize(
    "change_columns", [lambda s: s.remove(s.get_field_index("skill")), lambda s: s.append(pa.field("id", pa.int64()))]
)
def test_a_column_too_few_or_too_many_is_named(
    tmp_path: Path, change_columns: Callable[[pa.Schema], pa.Schema]
) -> None:
    changed = change_columns(SCHEMA)

    found = validate(write(tmp_path, schema=changed), last=None)

    (name,) = set(SCHEMA.names) ^ set(changed.names)
    assert {finding.column for finding in found.stops} == {name}


def test_a_number_that_became_a_text_is_named(tmp_path: Path) -> None:
    as_text = SCHEMA.set(SCHEMA.get_field_index("level_max"), pa.field("level_max", pa.string()))
    rows = [row | {"level_max": "12"} for row in examples()]
    folder = write(tmp_path)
    pq.write_table(pa.Table.from_pylist(rows, schema=as_text), folder / "train.parquet")

    assert any("level_max" in str(finding) and "type" in str(finding) for finding in validate(folder, last=None).stops)


def test_copies_stop(tmp_path: Path) -> None:
    rows = examples()

    stops = judge(tmp_path, [*rows, *rows[:3]]).stops

    assert [finding.rows for finding in stops] == [3]
    assert "p0, p1, p2" in str(stops[0])


def test_nobody_who_spends_stops(tmp_path: Path) -> None:
    assert "somebody spends" in str(judge(tmp_path, [row | {"spend": 0.0} for row in examples()]).stops[0])


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="extract them again"):
        validate(tmp_path, last=None)


def test_half_the_rows_of_the_last_training_stop(tmp_path: Path) -> None:
    last = profile(tmp_path / "last", examples(rows=3 * ROWS))

    stops = judge(tmp_path / "now", examples(), last).stops

    assert "at least half of the 1,200 rows" in str(stops[0])


def test_a_column_that_went_missing_stops(tmp_path: Path) -> None:
    last = profile(tmp_path / "last", examples())
    rows = [row | {"country": ""} if number % 2 else row for number, row in enumerate(examples())]

    stops = judge(tmp_path / "now", rows, last).stops

    assert [(finding.column, finding.rows) for finding in stops] == [("country", ROWS // 2)]


def test_what_moved_is_told_and_what_is_of_another_world_stops(tmp_path: Path) -> None:
    last = profile(tmp_path / "last", examples())
    moved = [row | {"level_max": row["level_max"] + 6} for row in examples()]
    other = [row | {"level_max": row["level_max"] + 1000} for row in examples()]

    told = judge(tmp_path / "now", moved, last)
    stopped = judge(tmp_path / "now", other, last)

    assert (told.stops, [finding.column for finding in told.findings]) == ([], ["level_max"])
    assert [finding.column for finding in stopped.stops] == ["level_max"]


def test_an_override_takes_other_data_but_no_broken_data(tmp_path: Path) -> None:
    last = profile(tmp_path / "last", examples())
    other = [row | {"level_max": row["level_max"] + 1000} for row in examples()]

    assert judge(tmp_path / "now", other, last, "ann: new levels").stops == []
    other[0]["events"] = -1.0
    assert [finding.column for finding in judge(tmp_path / "now", other, last, "ann: new levels").stops] == ["events"]


def test_the_step_stops_with_a_sentence_and_leaves_a_report(tmp_path: Path) -> None:
    rows = examples()
    change("events", -5.0)(rows)
    broken = dsl.Dataset(uri=str(write(tmp_path / "examples", rows)))
    report = dsl.HTML(uri=str(tmp_path / "report"))  # KFP's names have no ending

    with pytest.raises(
        BadExamples, match=r"train\.events: is not negative, and finite \(1 rows, such as -5\.0\); look at the events"
    ) as stopped:
        step.python_func(broken, "", report)

    page = Path(report.path).read_text()
    assert "1 check stops the training" in page
    assert "-5.0" in page
    assert "stability index" not in page  # how to read what is not there
    assert str(stopped.value).endswith(f"All checks: {tmp_path / 'report.html'}")
    assert (tmp_path / "report.html").read_text() == page


def test_the_step_compares_with_the_champion_and_tells_oddities(tmp_path: Path) -> None:
    champion = tmp_path / "champion"
    champion.mkdir()
    profile(tmp_path / "last", examples()).write(champion)
    (champion / "model.json").write_text('{"name": "spend", "version": "v1"}')
    moved = [row | {"level_max": row["level_max"] + 6} for row in examples()]
    now = dsl.Dataset(uri=str(write(tmp_path / "examples", moved)))
    report = dsl.HTML(uri=str(tmp_path / "report.html"))

    assert step.python_func(now, str(champion), report) == 1
    assert "level_max" in report.metadata["odd"][0]
    page = Path(report.path).read_text()
    assert "Yes: the training may begin" in page
    assert "With a stability index below 0.1 nothing moved" in " ".join(page.split())
