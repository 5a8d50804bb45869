"""Hold a revision in the dark against the one that serves: the same requests to both, and what came back how fast."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from questline_core.errors import NotReady, QuestlineError
from questline_core.models.port import ModelHost, RevisionStatus
from questline_core.models.rollout import Golden, infer, verify

LOOK_EVERY_S = 0.5
SLOWER_TIMES, SLOWER_MS = 2.0, 20.0
"""A revision is too slow when its median is so many times the other's, and so much more in milliseconds."""
ALL = "all"

Row = Mapping[str, Any]
"""One value for each input of the model, by name."""


class Worse(QuestlineError):
    """Raised when a revision answers worse than the one it is to replace: it fails, or is slow."""

    def __init__(self, revision: str, why: str) -> None:
        super().__init__(f"{revision} must not serve: {why}")
        self.revision, self.why = revision, why


@dataclass(slots=True, kw_only=True)
class Side:
    """What one revision did with the requests, one row each."""

    revision: str
    latency_ms: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    answers: dict[int, Mapping[str, float]] = field(default_factory=dict)
    """Row -> its outputs by name."""

    @property
    def median_ms(self) -> float:
        """The middle of the latencies; NaN without an answer."""
        return sorted(self.latency_ms)[len(self.latency_ms) // 2] if self.latency_ms else math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class Delta:
    """How far the answers of the two are apart, in one output and one slice of the rows."""

    output: str
    part: str
    rows: int
    champion_mean: float
    candidate_mean: float
    largest: float
    """The largest difference of one row, without its sign."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A candidate beside the revision that serves."""

    candidate: Side
    champion: Side | None
    """None when nothing serves beside it."""
    golden: int
    """How many golden answers of its training the candidate gave again."""
    deltas: tuple[Delta, ...]

    def check(self) -> None:
        """Be content only if the candidate answers everything, and not much slower.

        Raises:
            Worse: it does not.
        """
        if self.candidate.errors:
            raise Worse(self.candidate.revision, f"{len(self.candidate.errors)} errors: {self.candidate.errors[0]}")
        if self.champion is None:
            return
        own_ms, other_ms = self.candidate.median_ms, self.champion.median_ms
        if own_ms > SLOWER_TIMES * other_ms and own_ms > other_ms + SLOWER_MS:
            raise Worse(self.candidate.revision, f"its median is {own_ms:.1f} ms and {other_ms:.1f} ms is usual")

    def to_json(self) -> str:
        """Write the comparison as JSON, without the single answers."""
        sides = {
            name: side and {"revision": side.revision, "median_ms": side.median_ms, "errors": len(side.errors)}
            for name, side in (("candidate", self.candidate), ("champion", self.champion))
        }
        return json.dumps({**sides, "golden": self.golden, "deltas": [asdict(one) for one in self.deltas]}, indent=2)


def compare(  # noqa: PLR0913 - who is asked, for what, and how the answers are cut
    host: ModelHost,
    name: str,
    revision: str,
    *,
    golden: Sequence[Golden],
    rows: Sequence[Row],
    slices: Iterable[str] = (),
) -> Comparison:
    """Ask a revision its golden requests, and then it and the stable one the same rows in turns.

    Args:
        host: where both serve.
        name: the model.
        revision: the candidate.
        golden: what its training kept.
        rows: what is mirrored, such as the newest examples; one request each.
        slices: inputs by whose values the answers are cut, too.

    Raises:
        AnswersDiffer: the candidate does not answer as it did in training.
        NotReady: the host does not know the candidate, or it does not answer.
    """
    status = host.status(name)
    found = status.of(revision)
    if found is None or not found.ready:
        raise NotReady(f"{name} {revision} does not answer, so there is nothing to compare; deploy it first")
    stable = next((one for one in status.revisions if one.stable and one.revision != revision and one.ready), None)
    checked = verify(golden, rest_url=found.rest_url, name=name, revision=revision, by_name=True)
    candidate, champion = Side(revision=revision), Side(revision=stable.revision) if stable else None
    for number, row in enumerate(rows):
        _ask(candidate, found, name, number, row)
        if champion and stable:
            _ask(champion, stable, name, number, row)
    deltas = _deltas(candidate, champion, rows, slices) if champion else []
    return Comparison(candidate=candidate, champion=champion, golden=checked, deltas=tuple(deltas))


def watch(  # noqa: PLR0913 - as `compare`, and for how long
    host: ModelHost, name: str, revision: str, *, golden: Sequence[Golden], rows: Sequence[Row], for_s: float
) -> list[str]:
    """Compare again and again while a canary has its share, and give the reasons against it: none when it does well."""
    ends = time.monotonic() + for_s
    while True:
        try:
            compare(host, name, revision, golden=golden, rows=rows).check()
        except QuestlineError as error:
            return [str(error)]
        if time.monotonic() > ends:
            return []
        time.sleep(LOOK_EVERY_S)


def rows_of(columns: Mapping[str, Iterable[Any]], *, newest: int) -> list[Row]:
    """Take the last rows of columns; a number that is not known is None."""
    cut = {name: [_plain(value) for value in list(column)[-newest:]] for name, column in columns.items()}
    return [dict(zip(cut, values, strict=True)) for values in zip(*cut.values(), strict=True)]


def _plain(value: Any) -> float | str | None:
    if isinstance(value, str):
        return value
    return None if math.isnan(value) else float(value)


def _ask(side: Side, at: RevisionStatus, name: str, number: int, row: Row) -> None:
    began = time.perf_counter()
    try:
        answer = infer(at.rest_url, name, [row], revision=side.revision)
    except NotReady as error:
        side.errors.append(str(error))
        return
    side.latency_ms.append((time.perf_counter() - began) * 1000)
    if answer.get("model_version") != side.revision:
        side.errors.append(f"{answer.get('model_version')} answered in place of {side.revision}")
    else:
        side.answers[number] = {one["name"]: float(one["data"][0]) for one in answer["outputs"]}


def _deltas(candidate: Side, champion: Side, rows: Sequence[Row], slices: Iterable[str]) -> list[Delta]:
    both = [number for number in candidate.answers if number in champion.answers]
    parts = {ALL: both}
    for column in slices:
        for number in both:
            parts.setdefault(f"{column}={rows[number].get(column)}", []).append(number)
    outputs = list(candidate.answers[both[0]]) if both else []
    return [
        _delta(output, part, [(champion.answers[n][output], candidate.answers[n][output]) for n in chosen])
        for part, chosen in parts.items()
        for output in outputs
        if output in champion.answers[both[0]]
    ]


def _delta(output: str, part: str, pairs: Sequence[tuple[float, float]]) -> Delta:
    return Delta(
        output=output,
        part=part,
        rows=len(pairs),
        champion_mean=sum(one for one, _ in pairs) / len(pairs),
        candidate_mean=sum(other for _, other in pairs) / len(pairs),
        largest=max(abs(one - other) for one, other in pairs),
    )
