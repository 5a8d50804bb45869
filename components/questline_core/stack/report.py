"""Put what a demo found on top of the evaluation's page, so that one file tells the whole story."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

from questline_core.errors import NotReady
from questline_core.stack.leaving import models_of, reasons_of

if TYPE_CHECKING:
    from questline_core.stack.demo import Findings

_LINE = '<hr style="margin: 48px 0 40px; border: 0; border-top: 1px solid var(--line)">'
COUNTS = ("sent", "accepted", "duplicate", "rejected")


def page(found: Findings) -> str:
    """Give the HTML page: what was sent, what became of it, the answers, the crash, and the models' evaluations.

    Raises:
        NotReady: the page of an evaluation is not there.
    """
    head, spend, tail = _parts(found.run["report"])
    _, churn, _ = _parts(found.churn["report"])  # its style is the same, and its plots need the same script
    head = head.replace("<title>Spend model: evaluation", "<title>Questline: once round the loop")
    return f"{head}<main>{_story(found)}{spend}{_LINE}{churn}</main>{tail}"


def fresh_of(answers: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Give what the spend model said for the call itself, with player and latency."""
    told = ({**one["spend"], "player": one["player"], "latency_ms": one["latency_ms"]} for one in answers)
    return [one for one in told if one["source"] == "FRESH"]


def _parts(report: str) -> tuple[str, str, str]:
    try:
        before, _, rest = Path(report).read_text(encoding="utf-8").partition("<main>")
    except OSError as error:
        raise NotReady(f"the evaluation's page cannot be read ({error})") from None
    main, _, after = rest.rpartition("</main>")
    return before, main, after


def _story(found: Findings) -> str:
    template = Template((files("questline_core.stack") / "story.html").read_text(encoding="utf-8"))
    return template.substitute(
        tiles="".join(_tiles(found)),
        sources=_table(("", "", *COUNTS), _sources(found)),
        rejects=f"{found.rejects_kept:,}",
        revision=escape(found.run["revision"]),
        answers=_table(("player", "", "expected spend", "lower", "upper", "any spend", "latency"), _answers(found)),
        models=_table(("model", "", "log loss", "ROC AUC"), _models(found)),
        reasons=" ".join(map(escape, found.churn["reasons"])),
        generation=escape(found.churn["revision"]),
        players=_table(("", "player", "leaves", "said to leave", "why"), _leaving(found)),
        kills=len(found.crash["acknowledged_at_kill"]),
        lost=found.crash["acknowledged_lost"],
        recovered=f"{found.crash['recovered']:,}",
        line=_LINE,
    )


def _tiles(found: Findings) -> Iterable[str]:
    fresh = sorted(one["latency_ms"] for one in fresh_of(found.answers))
    for number, text in (
        (f"{found.rows:,}", f"rows, of {found.tally.sent:,} events that were sent"),
        (f"{found.crash['acknowledged_lost']}", "acknowledged events lost when the gateway was killed"),
        (f"{fresh[len(fresh) // 2]:.1f} ms", f"median of {len(fresh)} calls: event stored and spend predicted"),
        (f"{sum(found.seconds.values()):.0f} s", "from an empty folder to this page"),
    ):
        yield f'<div class="tile"><b>{number}</b><span>{text}</span></div>'


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
            "",
            f"{one['value']:.2f}",
            f"{one['lower_bound']:.1f}",
            f"{one['upper_bound']:.1f}",
            f"{one['probability']:.1%}",
            f"{one['latency_ms']:.1f} ms",
        )


def _models(found: Findings) -> Iterable[Sequence[str]]:
    for name, loss, auc in models_of(found.churn):
        yield escape(name), "", loss, auc


def _leaving(found: Findings) -> Iterable[Sequence[str]]:
    for one in found.asked:
        said = "yes" if one.predicted_churned else "no"
        yield f"a {one.kind} one", escape(one.player), f"{one.probability:.1%}", said, escape(reasons_of(one))


def _table(names: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{name}</th>" for name in names)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="table"><table><tr>{head}</tr>{body}</table></div>'
