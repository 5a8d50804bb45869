"""Put what a demo found on top of the evaluation's page, so that one file tells the whole story."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from questline_core.errors import NotReady
from questline_core.pages import fill, page, table, tiles
from questline_core.stack.leaving import models_of, reasons_of

if TYPE_CHECKING:
    from questline_core.stack.demo import Findings

COUNTS = ("sent", "accepted", "duplicate", "rejected")


def page_of(found: Findings) -> str:
    """Give the HTML page: what was sent, what became of it, the answers, the crash, and the models' evaluations.

    Raises:
        NotReady: the page of an evaluation is not there.
    """
    evaluations = "<hr>".join(_body(one["report"]) for one in (found.run, found.churn))
    return page("Questline: once round the loop", f"{_story(found)}{evaluations}")


def fresh_of(answers: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Give what the spend model said for the call itself, with player and latency."""
    told = ({**one["spend"], "player": one["player"], "latency_ms": one["latency_ms"]} for one in answers)
    return [one for one in told if one["source"] == "FRESH"]


def _body(report: str) -> str:
    try:
        _, _, rest = Path(report).read_text(encoding="utf-8").partition("<main>")
    except OSError as error:
        raise NotReady(f"the evaluation's page cannot be read ({error})") from None
    return rest.rpartition("</main>")[0]


def _story(found: Findings) -> str:
    return fill(
        "stack/story.html",
        tiles=tiles(_tiles(found)),
        sources=table(("", "", *COUNTS), _sources(found), kind="told"),
        rejects=f"{found.rejects_kept:,}",
        revision=escape(found.run["revision"]),
        answers=table(("player", "expected spend", "lower", "upper", "any spend", "latency"), _answers(found)),
        models=table(("model", "log loss", "ROC AUC"), _models(found)),
        reasons=" ".join(map(escape, found.churn["reasons"])),
        generation=escape(found.churn["revision"]),
        players=table(("", "player", "leaves", "said to leave", "why"), _leaving(found), kind="told"),
        kills=len(found.crash["acknowledged_at_kill"]),
        lost=found.crash["acknowledged_lost"],
        recovered=f"{found.crash['recovered']:,}",
    )


def _tiles(found: Findings) -> Iterable[tuple[str, str]]:
    fresh = sorted(one["latency_ms"] for one in fresh_of(found.answers))
    return (
        (f"{found.rows:,}", f"rows, of {found.tally.sent:,} events that were sent"),
        (f"{found.crash['acknowledged_lost']}", "acknowledged events lost when the gateway was killed"),
        (f"{fresh[len(fresh) // 2]:.1f} ms", f"median of {len(fresh)} calls: event stored and spend predicted"),
        (f"{sum(found.seconds.values()):.0f} s", "from an empty folder to this page"),
    )


def _sources(found: Findings) -> Iterable[Sequence[str]]:
    for source, report in found.by_source.items():
        yield (source, "", *_counted(report))
    yield (
        "<b>all</b>",
        f"<b>{found.rows:,} rows</b>",
        *_counted({name: getattr(found.tally, name) for name in COUNTS}),
    )


def _counted(report: Mapping[str, Any]) -> Iterable[str]:
    return (f"{report[name]:,}" for name in COUNTS)


def _answers(found: Findings) -> Iterable[Sequence[str]]:
    for one in sorted(fresh_of(found.answers), key=lambda answer: -float(answer["value"]))[:10]:
        yield (
            escape(one["player"]),
            f"{one['value']:.2f}",
            f"{one['lower_bound']:.1f}",
            f"{one['upper_bound']:.1f}",
            f"{one['probability']:.1%}",
            f"{one['latency_ms']:.1f} ms",
        )


def _models(found: Findings) -> Iterable[Sequence[str]]:
    for name, loss, auc in models_of(found.churn):
        yield escape(name), loss, auc


def _leaving(found: Findings) -> Iterable[Sequence[str]]:
    for one in found.asked:
        said = "yes" if one.predicted_churned else "no"
        yield f"a {one.kind} one", escape(one.player), f"{one.probability:.1%}", said, escape(reasons_of(one))
