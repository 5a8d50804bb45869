"""The shape of a table's columns, small enough to travel with a model, and how far another table is from it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from questline_core.errors import BadInput
from questline_core.processes import write_atomically

PROFILE = "profile.json"
"""Its file in the folder of a model version."""

_KIND = "event_name"  # the input that tells at which kind of event a model is asked
_BINS = 20
_KINDS_KEPT = 20
_LEAST_OF_A_KIND = 200
_FLOOR = 1e-4  # a share of zero has no logarithm

Values = NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Distances:
    """How far two distributions are apart, by three measures that are zero when they are equal."""

    psi: float
    """Population stability index: below 0.1 nothing moved, above 0.25 much did."""
    ks: float
    """Kolmogorov-Smirnov: the largest distance of the cumulated shares, 0 to 1."""
    js: float
    """Jensen-Shannon divergence in bits, 0 to 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnProfile:
    """The shares of one column's values: of a number by bins, of a text by its most frequent values."""

    edges: Sequence[float] = ()
    """Upper bounds of all bins but the last, ascending: the twentieths of the column."""
    kinds: Sequence[str] = ()
    """The most frequent texts; empty for a number."""
    shares: Sequence[float]
    """Of each bin or text, then of all other texts, then of what is missing. They add up to 1."""

    @classmethod
    def of(cls, values: Values) -> Self:
        """Describe a column: floats (NaN is missing) or texts ("" is missing).

        Raises:
            BadInput: there are no values.
        """
        if not len(values):
            raise BadInput("a profile needs at least one row; the column is empty")
        edges, kinds = tuple[float, ...](), tuple[str, ...]()
        if values.dtype.kind == "f":
            known = values[~np.isnan(values)]
            cuts = np.quantile(known, np.arange(1, _BINS) / _BINS, method="lower") if len(known) else np.empty(0)
            edges = tuple(np.unique(cuts).tolist())
        else:
            found, counts = np.unique(values[values != ""].astype(str), return_counts=True)
            kinds = tuple(found[np.argsort(-counts, kind="stable")][:_KINDS_KEPT].tolist())
        empty = cls(edges=edges, kinds=kinds, shares=())
        return cls(edges=edges, kinds=kinds, shares=tuple(empty.shares_of(values).tolist()))

    @property
    def missing(self) -> float:
        """The share of values that are not known."""
        return self.shares[-1]

    def shares_of(self, values: Values) -> NDArray[np.float64]:
        """Count other values by the bins of this profile, as shares."""
        if values.dtype.kind == "f":
            missing, width = np.isnan(values), len(self.edges) + 3
            places = np.searchsorted(np.array(self.edges), values, side="left")
        else:
            missing, width = values == "", len(self.kinds) + 2
            order = {kind: place for place, kind in enumerate(self.kinds)}
            places = np.array([order.get(value, len(order)) for value in values], int)
        counts = np.bincount(np.where(missing, width - 1, places), minlength=width)
        return counts / max(1, len(values))

    def distances(self, values: Values) -> Distances:
        """Tell how far other values are from those that were profiled."""
        old, new = np.array(self.shares), self.shares_of(values)
        a, b = np.maximum(old, _FLOOR), np.maximum(new, _FLOOR)
        middle = (old + new) / 2
        return Distances(
            psi=float(((b - a) * np.log(b / a)).sum()),
            ks=float(np.abs(np.cumsum(new - old)).max()),
            js=float((_relative_entropy(old, middle) + _relative_entropy(new, middle)) / 2),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreProfile:
    """The shares of what a model answered, in all and by the kind of event that it was asked at.

    A game chooses at which events it asks. That choice is no drift, so answers are compared with those of training rows
    in which the kinds of events are mixed alike.
    """

    whole: ColumnProfile
    by_kind: Mapping[str, Sequence[float]]
    """Of the kinds with enough rows: shares of the bins of `whole`."""

    @classmethod
    def of(cls, values: Values, kinds: Values) -> Self:
        """Describe answers, with the kind of event of each.

        Raises:
            BadInput: there are none.
        """
        whole = ColumnProfile.of(values)
        found, counts = np.unique(kinds.astype(str), return_counts=True)
        enough = [str(kind) for kind in found[counts >= _LEAST_OF_A_KIND]]
        return cls(whole=whole, by_kind={kind: whole.shares_of(values[kinds == kind]).tolist() for kind in enough})

    def distances(self, values: Values, kinds: Values) -> Distances:
        """Tell how far other answers are from those of training rows with the same mix of kinds of events."""
        found, counts = np.unique(kinds.astype(str), return_counts=True)
        mixed = [np.array(self.by_kind.get(str(kind), self.whole.shares)) for kind in found]
        alike = np.average(mixed, axis=0, weights=counts)
        return replace(self.whole, shares=tuple(alike.tolist())).distances(values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """The profiles of all inputs of a model, and how many rows they were made of."""

    rows: int
    columns: Mapping[str, ColumnProfile]
    scores: Mapping[str, ScoreProfile] = field(default_factory=dict)
    """What the model answered to these rows, by output; empty for a model that was profiled without them."""

    @classmethod
    def of(cls, columns: Mapping[str, Values], *, scores: Mapping[str, Values] | None = None) -> Self:
        """Describe the columns of a table, and a model's answers to its rows.

        Raises:
            BadInput: they are empty.
        """
        rows = min((len(values) for values in columns.values()), default=0)
        return cls(
            rows=rows,
            columns={name: ColumnProfile.of(values) for name, values in columns.items()},
            scores={name: ScoreProfile.of(values, columns[_KIND]) for name, values in (scores or {}).items()},
        )

    def write(self, folder: Path) -> None:
        """Write it into a model's folder."""
        write_atomically(folder / PROFILE, json.dumps(asdict(self)))

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """Read it from a model's folder; None when the model was trained without one.

        Raises:
            BadInput: the file is no profile.
        """
        file = folder / PROFILE
        if not file.exists():
            return None
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
            columns = {name: ColumnProfile(**fields) for name, fields in found["columns"].items()}
            scores = {
                name: ScoreProfile(whole=ColumnProfile(**fields["whole"]), by_kind=fields["by_kind"])
                for name, fields in found.get("scores", {}).items()
            }
            return cls(rows=found["rows"], columns=columns, scores=scores)
        except (ValueError, KeyError, TypeError) as error:
            raise BadInput(f"{file} is no profile of training data ({error}); train the model again") from None


def _relative_entropy(shares: NDArray[np.float64], middle: NDArray[np.float64]) -> float:
    some = shares > 0
    return float((shares[some] * np.log2(shares[some] / middle[some])).sum())
