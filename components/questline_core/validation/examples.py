"""Judge the examples of the spend model before training: what is broken stops the run, what is odd is told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandera.errors
import pyarrow.parquet as pq

from questline_core.errors import BadInput, QuestlineError
from questline_core.features.online import NUMBERS, TEXTS
from questline_core.monitoring.profile import Distances, Profile
from questline_core.spend.arrays import read_examples
from questline_core.validation.schema import KEY, example_schema

PARTS = {"train": "train.parquet", "eval": "eval.parquet"}
ODD_PSI, BROKEN_JS = 0.25, 0.5
"""Inputs that moved are what a new training is for; beyond the second, more than half of the values are new."""
LEAST_OF_LAST = 0.5
"""A training with less than this share of the last one's rows has lost data."""
MORE_MISSING = 0.2
"""A column may be missing in this share of the rows more than at the last training."""
_SHOWN = 5

Frame = Any
"""A DataFrame of pandas, which brings no types."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One check that did not pass."""

    check: str
    part: str
    """train or eval."""
    column: str
    """Empty when it is about the whole table."""
    rows: int
    """How many rows are concerned."""
    examples: Sequence[str]
    """Some of the values."""
    advice: str
    stops: bool
    """Whether a model must not be trained from this."""

    def __str__(self) -> str:
        where = f"{self.part}.{self.column}" if self.column else self.part
        values = f", such as {', '.join(self.examples)}" if self.examples else ""
        return f"{where}: {self.check} ({self.rows:,} rows{values}); {self.advice}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """All that the checks found, and what they looked at."""

    rows: dict[str, int]
    findings: Sequence[Finding]
    moved: dict[str, Distances]
    """Of each input from the last training; empty without one."""

    @property
    def stops(self) -> list[Finding]:
        """The findings that stop a run."""
        return [finding for finding in self.findings if finding.stops]


class BadExamples(QuestlineError):
    """Raised when examples are not fit to learn from."""

    def __init__(self, found: Validation, report: Path) -> None:
        first, *others = found.stops
        more = f" (and {len(others)} more)" if others else ""
        super().__init__(f"the examples are not fit to train on: {first}{more}. All checks: {report}")
        self.found, self.report = found, report


def validate(folder: Path, *, last: Profile | None, override: str = "") -> Validation:
    """Check train.parquet and eval.parquet, as `spend.examples.extract` writes them.

    Args:
        folder: of the two files.
        last: the inputs of the last training; None when there was none.
        override: who takes data that differs from the last training, and why. What breaks the rules of an example
            stops a run even so.

    Raises:
        BadInput: a file is missing, or no Parquet file.
    """
    tables = {part: _read(folder / file) for part, file in PARTS.items()}
    findings = [finding for part, table in tables.items() for finding in _rules(part, table)]
    moved = dict[str, Distances]()
    if last and not any(finding.stops for finding in findings):
        inputs = read_examples(folder / PARTS["train"]).inputs
        known = {name: column for name, column in last.columns.items() if name in inputs}
        moved = {name: column.distances(inputs[name]) for name, column in known.items()}
        findings += _against(last, Profile.of(inputs), moved, may_stop=not override)
    return Validation(
        rows={part: len(table) for part, table in tables.items()},
        findings=sorted(findings, key=lambda one: (not one.stops, one.part, one.column)),
        moved=moved,
    )


def _read(file: Path) -> Frame:
    try:
        return pq.read_table(file).to_pandas()
    except (OSError, ValueError) as error:
        raise BadInput(f"{file} holds no examples of the spend model ({error}); extract them again") from None


def _rules(part: str, table: Frame) -> Iterator[Finding]:
    """Apply the schema, and look for copies, empty tables and labels of one kind."""
    try:
        example_schema().validate(table, lazy=True)
    except pandera.errors.SchemaErrors as errors:
        yield from _broken(part, errors.failure_cases)
        return
    copies = table[table.duplicated(list(KEY), keep="first")]
    if len(copies):
        yield Finding(
            check="a player has one example at a moment",
            part=part,
            column="player",
            rows=len(copies),
            examples=_some(copies["player"]),
            advice="look for events that were stored twice",
            stops=True,
        )
    if not (table["spend"] > 0).any():
        yield Finding(
            check="somebody spends",
            part=part,
            column="spend",
            rows=len(table),
            examples=(),
            advice="look whether spend_virtual_currency still comes, with its parameter `value`",
            stops=True,
        )


def _broken(part: str, cases: Frame) -> Iterator[Finding]:
    """One finding for each column and rule of pandera's table of failures."""
    # A rule over two columns fails there once for every column; the one that the rule names first is kept.
    of_rows = (cases["schema_context"] == "DataFrameSchema") & cases["index"].notna()
    named = [str(check).split(" ")[0] == column for check, column in zip(cases["check"], cases["column"], strict=True)]
    cases = cases[~of_rows | np.array(named, bool)]
    for (column, check), group in cases.groupby(["column", "check"], dropna=False, sort=True):
        about_table = group["index"].isna().all()
        yield Finding(
            check=_named(str(check)),
            part=part,
            column=_column(str(column), group),
            rows=0 if about_table else group["index"].nunique(),
            examples=_some(group["failure_case"]),
            advice="look at the events that this column is made of (`questline sql`), mend them and extract again",
            stops=True,
        )


def _named(check: str) -> str:
    known = {"not_nullable": "is known", "column_in_dataframe": "is a column", "column_in_schema": "is no known column"}
    return known.get(check, f"has the type {check[7:-2]}" if check.startswith("dtype(") else check)


def _column(name: str, group: Frame) -> str:
    """Name the column; pandera puts the name of a column that lacks into the failure, and its own class elsewhere."""
    return str(group["failure_case"].iloc[0]) if name in {"None", "nan"} else name.replace("DataFrameSchema", "")


def _some(values: Any) -> tuple[str, ...]:
    return tuple(str(value) for value in values.drop_duplicates().head(_SHOWN))


def _against(last: Profile, now: Profile, moved: dict[str, Distances], *, may_stop: bool) -> Iterator[Finding]:
    """Compare with the last training: how many rows, what is missing, what moved."""
    if now.rows < LEAST_OF_LAST * last.rows:
        yield Finding(
            check=f"has at least half of the {last.rows:,} rows of the last training",
            part="train",
            column="",
            rows=now.rows,
            examples=(),
            advice="look for days that were lost; if it is meant, run with an override",
            stops=may_stop,
        )
    for name in (name for name in (*NUMBERS, *TEXTS) if name in moved):
        missing, before = now.columns[name].missing, last.columns[name].missing
        if missing > before + MORE_MISSING:
            yield Finding(
                check=f"is missing in {missing:.0%} of the rows, and in {before:.0%} at the last training",
                part="train",
                column=name,
                rows=round(missing * now.rows),
                examples=(),
                advice="look whether the clients still send it; if it is meant, run with an override",
                stops=may_stop,
            )
        elif moved[name].psi >= ODD_PSI:
            yield Finding(
                check=f"moved since the last training (stability index {moved[name].psi:.2f})",
                part="train",
                column=name,
                rows=now.rows,
                examples=(),
                advice="training learns it; if most values are new ones, a run stops unless it has an override",
                stops=may_stop and moved[name].js >= BROKEN_JS,
            )
