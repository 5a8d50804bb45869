"""Show what monitoring found as one page of tables and plots, which needs nothing but itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template

from plotly.offline import get_plotlyjs

from questline_core.monitoring.observe import Findings
from questline_core.monitoring.outcomes import Outcome, Outcomes
from questline_core.monitoring.plots import drift_plot, number, outcome_plots, skew_plot
from questline_core.monitoring.profile import Distances
from questline_core.monitoring.skew import Skew
from questline_core.monitoring.watch import GROWING, MOVED_PSI, Watch, day_of
from questline_core.processes import write_atomically


def write_page(file: Path, found: Findings) -> None:
    """Write the page."""
    template = Template((files("questline_core.monitoring") / "page.html").read_text(encoding="utf-8"))
    page = template.substitute(
        plotly=get_plotlyjs(),
        model=escape(found.watch.model),
        drift=drift_plot(found.watch.windows),
        rows="".join(_rows(found.watch)),
        skew="".join(_skew(found.skew)),
        outcomes="".join(_outcomes(found.outcomes)),
    )
    write_atomically(file, page)


def _rows(found: Watch) -> Iterator[str]:
    heads = [f"to {day_of(one.until_micros)}<br>{one.rows:,} rows<br>{one.answers:,} answers" for one in found.windows]
    yield _line("th", ["", *heads, "KS", "JS"])
    newest = found.windows[-1]
    for name in found.windows[-1].scores:
        yield _distances(f"score {name}", [window.scores.get(name) for window in found.windows])
    for name in sorted(newest.inputs, key=lambda one: (one in GROWING, -newest.inputs[one].psi)):
        label = f"{name} (grows)" if name in GROWING else name
        yield _distances(label, [window.inputs.get(name) for window in found.windows])


def _distances(label: str, by_window: Sequence[Distances | None]) -> str:
    newest = by_window[-1]
    others = [f"{one:.3f}" for one in (newest.ks, newest.js)] if newest else ["", ""]
    cells = "".join(_cell(one) for one in by_window) + "".join(f'<td class="number">{one}</td>' for one in others)
    return f"<tr><td>{escape(label)}</td>{cells}</tr>"


def _cell(far: Distances | None) -> str:
    if far is None:
        return "<td>too few rows</td>"
    depth = min(1.0, far.psi / (4 * MOVED_PSI))
    return f'<td class="number" style="background:rgba(224,120,43,{depth:.2f})">{far.psi:.3f}</td>'


def _skew(found: Skew) -> Iterator[str]:
    if not found.compared:
        yield "<p>No answer is kept yet whose event makes an example.</p>"
        return
    yield (
        f"<p>{found.compared:,} answers were compared; the events of {found.unmatched:,} more make no example. "
        f"{len(found.differing)} of {len(found.inputs)} inputs differ somewhere.</p>"
    )
    if not found.differing:
        return
    yield skew_plot(found.differing)
    yield "<table>" + _line("th", ["input", "differs", "largest difference", "served", "example", "event"])
    for one in found.differing:
        cells = (f"{one.differs:.1%}", number(one.largest), number(one.served), number(one.expected))
        yield _line("td", [escape(one.name), *cells, escape(one.event_id)])
    yield "</table>"


def _outcomes(found: Outcomes) -> Iterator[str]:
    yield f"<p>An answer is judged {found.horizon_hours} h after its event; {found.waiting:,} wait for that.</p>"
    if not found.by_revision:
        return
    heads = ("revision", "answers", "spenders", "answered", "spent", "error of the total", "within the bounds")
    yield "<table>" + _line("th", [*heads, "of spenders", "Brier", "log loss"])
    yield from (_line("td", _facts(one)) for one in found.by_revision)
    yield "</table>"
    yield from outcome_plots(found.by_revision)


def _facts(one: Outcome) -> list[str]:
    covered = f"{one.coverage_of_spenders:.0%} ± {one.chance:.0%}" if one.spenders else "nobody spent"
    error = f"{one.total_error:+.1%}" if one.actual else "nothing was spent"
    counts = [f"{one.answers:,}", f"{one.spenders:,}", number(one.expected), number(one.actual)]
    scores = [f"{one.brier:.4f}", f"{one.log_loss:.4f}"]
    return [escape(one.revision), *counts, error, f"{one.coverage:.1%}", covered, *scores]


def _line(tag: str, cells: Sequence[str]) -> str:
    return "<tr>" + "".join(f"<{tag}>{cell}</{tag}>" for cell in cells) + "</tr>"
