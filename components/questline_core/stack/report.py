"""Put what a demo found on top of the evaluation's page, so that one file tells the whole story."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

from questline_core.errors import NotReady

if TYPE_CHECKING:
    from questline_core.stack.demo import Findings

COUNTS = ("sent", "accepted", "duplicate", "rejected")


def page(found: Findings) -> str:
    """Give the HTML page: what was sent, what became of it, the answers, the crash, and the model's evaluation.

    Raises:
        NotReady: the evaluation's page is not there.
    """
    evaluation = Path(found.run["report"])
    try:
        before, main, after = evaluation.read_text(encoding="utf-8").partition("<main>")
    except OSError as error:
        raise NotReady(f"the evaluation's page cannot be read ({error})") from None
    return (
        before.replace("<title>Spend model: evaluation", "<title>Questline: once round the loop")
        + main
        + _story(found)
        + after
    )


def _story(found: Findings) -> str:
    template = Template((files("questline_core.stack") / "story.html").read_text(encoding="utf-8"))
    return template.substitute(
        tiles="".join(_tiles(found)),
        sources=_table(("", "", *COUNTS), _sources(found)),
        rejects=f"{found.rejects_kept:,}",
        revision=escape(found.run["revision"]),
        answers=_table(("player", "", "expected spend", "lower", "upper", "any spend", "latency"), _answers(found)),
        kills=len(found.crash["acknowledged_at_kill"]),
        lost=found.crash["acknowledged_lost"],
        recovered=f"{found.crash['recovered']:,}",
    )


def _tiles(found: Findings) -> Iterable[str]:
    fresh = sorted(one["latency_ms"] for one in found.answers if one["source"] == "FRESH")
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
    for one in sorted(found.answers, key=lambda answer: -float(answer["value"]))[:10]:
        yield (
            escape(one["player"]),
            "",
            f"{one['value']:.2f}",
            f"{one['lower_bound']:.1f}",
            f"{one['upper_bound']:.1f}",
            f"{one['probability']:.1%}",
            f"{one['latency_ms']:.1f} ms",
        )


def _table(names: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{name}</th>" for name in names)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="table"><table><tr>{head}</tr>{body}</table></div>'
