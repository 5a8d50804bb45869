"""The examples of the spend model: moments, labels, and the split by time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from questline_core.errors import NotReady
from questline_core.pb.telemetry_pb2 import Event, Param, ParamValue
from questline_core.spend import examples
from questline_core.spend.arrays import read_examples
from questline_core.spend.examples import ExampleCounts, extract
from questline_core.testing.event_tables import DAY, MONDAY, an_event, fill
from questline_core.warehouse.files import sql
from questline_core.warehouse.port import Warehouse

HOUR = DAY // 24
NOON = 12 * HOUR


@pytest.fixture(autouse=True)
def any_number_is_enough(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    if "enough" not in request.node.name:
        monkeypatch.setattr(examples, "LEAST", {})


def spend(player: str, at_micros: int, value: float) -> Event:
    return an_event(player, at_micros, "spend_virtual_currency", value=value)


def labels(warehouse: Warehouse, *, horizon_hours: int = 24) -> dict[str, float]:
    found = warehouse.query(sql("spend/labels.sql"), horizon=horizon_hours * HOUR)
    return {row["event_id"]: row["spend"] for row in found.to_pylist()}


def test_the_label_is_what_is_spent_after_the_moment_and_within_the_horizon(warehouse: Warehouse) -> None:
    asked = an_event("anna", MONDAY)
    spends = [spend("anna", MONDAY, 1), spend("anna", MONDAY + 1, 2), spend("anna", MONDAY + DAY, 4.0)]
    fill(warehouse, [asked, *spends, spend("anna", MONDAY + DAY + 1, 8), spend("bert", MONDAY + 1, 16)])

    assert labels(warehouse)[asked.event_id] == 6


def test_a_spend_is_not_part_of_its_own_label(warehouse: Warehouse) -> None:
    first, second = spend("anna", MONDAY, 1), spend("anna", MONDAY + HOUR, 2)
    fill(warehouse, [first, second])

    assert labels(warehouse) == {first.event_id: 2}


@pytest.mark.parametrize("value", [0, -3, float("nan"), float("inf")])
def test_an_absurd_amount_is_no_label(warehouse: Warehouse, value: float) -> None:
    fill(warehouse, [an_event("anna", MONDAY), spend("anna", MONDAY + 1, value)])

    assert labels(warehouse) == {}


def test_what_a_test_spends_is_no_label(warehouse: Warehouse) -> None:
    of_a_test = spend("anna", MONDAY + 1, 5)
    of_a_test.is_test = True
    fill(warehouse, [an_event("anna", MONDAY), of_a_test])

    assert labels(warehouse) == {}


def ten_days() -> Iterator[Event]:
    """Anna plays once a day at noon and spends an hour later on each second day; nothing is later than day 9, 13:00."""
    for day in range(10):
        yield an_event("anna", MONDAY + day * DAY + NOON)
        if day % 2:
            yield spend("anna", MONDAY + day * DAY + NOON + HOUR, day)


def days(file: Path) -> list[int]:
    return [int(at - MONDAY) // DAY for at in read_examples(file).at_micros]


def test_the_last_days_whose_labels_are_due_are_held_out_and_a_horizon_lies_between(
    warehouse: Warehouse, tmp_path: Path
) -> None:
    fill(warehouse, ten_days())

    counts = extract(warehouse, tmp_path, horizon_hours=24, holdout_days=3)

    # The latest event is on day 9 at 13:00. Labels are due until day 8, 13:00; three days before begins the evaluation.
    assert days(tmp_path / "eval.parquet") == [6, 7, 8]
    assert days(tmp_path / "train.parquet") == [0, 1, 2, 3, 4]
    assert counts == ExampleCounts(
        train=5,
        train_positives=int((read_examples(tmp_path / "train.parquet").spend > 0).sum()),
        evaluation=3,
        evaluation_positives=int((read_examples(tmp_path / "eval.parquet").spend > 0).sum()),
    )


def test_no_label_that_is_learned_from_reaches_into_the_judged_days(warehouse: Warehouse, tmp_path: Path) -> None:
    fill(warehouse, ten_days())
    extract(warehouse, tmp_path, horizon_hours=48, holdout_days=2)
    facts = json.loads((tmp_path / "examples.json").read_text())

    train, judged = (read_examples(tmp_path / f"{name}.parquet").at_micros for name in ("train", "eval"))

    assert train.max() + 48 * HOUR <= facts["judged_after_micros"] < judged.min()
    assert judged.max() + 48 * HOUR <= facts["latest_event_micros"]


def test_labels_and_inputs_belong_to_the_same_moment(warehouse: Warehouse, tmp_path: Path) -> None:
    fill(warehouse, ten_days())
    extract(warehouse, tmp_path, horizon_hours=24, holdout_days=3)
    train = read_examples(tmp_path / "train.parquet")

    for row, at in enumerate(train.at_micros):
        day, after_noon = divmod(int(at - MONDAY), DAY)
        spent = [one for one in range(1, day + 1, 2) if (one, NOON + HOUR) < (day, after_noon)]
        due = [one for one in range(1, 10, 2) if 0 < one * DAY + NOON + HOUR - (day * DAY + after_noon) <= DAY]
        assert train.inputs["spends"][row] == len(spent)
        assert train.inputs["spend_sum"][row] == sum(spent)
        assert train.spend[row] == sum(due)


def test_an_event_with_a_clock_that_runs_ahead_makes_no_label_due(warehouse: Warehouse, tmp_path: Path) -> None:
    ahead = an_event("bert", MONDAY + 1000 * DAY)
    ahead.received_time = MONDAY + DAY
    fill(warehouse, [*ten_days(), ahead])

    extract(warehouse, tmp_path, horizon_hours=24, holdout_days=3)

    assert days(tmp_path / "eval.parquet") == [6, 7, 8]


def test_test_traffic_is_neither_learned_from_nor_judged_on(warehouse: Warehouse, tmp_path: Path) -> None:
    events = list(ten_days())
    of_a_test = [an_event("tester", event.event_timestamp) for event in events]
    for event in of_a_test:
        event.is_test = True
    fill(warehouse, [*events, *of_a_test])

    extract(warehouse, tmp_path, horizon_hours=24, holdout_days=3)

    for name in ("train", "eval"):
        assert set(read_examples(tmp_path / f"{name}.parquet").players) == {"anna"}


def test_the_same_table_gives_the_same_files_in_whichever_order_its_events_came(tmp_path: Path) -> None:
    from questline_core.warehouse.port import open_warehouse

    events = [an_event(f"player-{number % 7}", MONDAY + number * HOUR) for number in range(300)]
    files = []
    for name, order in (("one", events), ("other", events[::-1])):
        warehouse = open_warehouse(f"duckdb:{tmp_path / name / 'warehouse'}")
        fill(warehouse, order)
        extract(warehouse, tmp_path / name, horizon_hours=24, holdout_days=3)
        files.append([(tmp_path / name / f"{part}.parquet").read_bytes() for part in ("train", "eval")])

    assert files[0] == files[1]


def test_the_files_tell_which_data_they_came_from(warehouse: Warehouse, tmp_path: Path) -> None:
    fill(warehouse, ten_days())

    extract(warehouse, tmp_path, horizon_hours=24, holdout_days=3)

    facts = json.loads((tmp_path / "examples.json").read_text())
    assert facts["data_version"] == warehouse.version("telemetry.events")
    assert (facts["horizon_hours"], facts["holdout_days"], facts["train"]) == (24, 3, 5)


def test_too_few_examples_are_not_enough_to_go_on(warehouse: Warehouse, tmp_path: Path) -> None:
    fill(warehouse, ten_days())

    with pytest.raises(NotReady, match=r"only 5 train examples are due .* and 200 are needed; let more players play"):
        extract(warehouse, tmp_path, horizon_hours=24, holdout_days=3)


def test_without_spend_there_is_not_enough_to_learn(warehouse: Warehouse, tmp_path: Path) -> None:
    fill(warehouse, [an_event(f"p{number}", MONDAY + day * DAY) for number in range(60) for day in range(10)])

    with pytest.raises(NotReady, match="only 0 train examples with spend are due"):
        extract(warehouse, tmp_path, horizon_hours=24, holdout_days=3)


def test_amounts_that_are_texts_are_told_where_spend_is_not_enough(warehouse: Warehouse, tmp_path: Path) -> None:
    texts = [an_event(f"p{number}", MONDAY, "spend_virtual_currency") for number in range(60)]
    for event in texts:
        event.event_params.append(Param(key="value", value=ParamValue(string_value="12.50")))
    fill(
        warehouse, [*texts, *(an_event(f"p{number}", MONDAY + day * DAY) for number in range(60) for day in range(10))]
    )

    with pytest.raises(NotReady, match="60 spends count for nothing, because their value is no number"):
        extract(warehouse, tmp_path, horizon_hours=24, holdout_days=3)
