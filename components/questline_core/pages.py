"""Make pages that need nothing but themselves: one shell, the house's colours, tables and figures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from shutil import copyfile
from string import Template
from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

if TYPE_CHECKING:
    from questline_core.metrics import Bin

MODEL, OTHER = "#2f6fde", "#9aa3b5"
"""Colours of what a model says and of what it is held against."""
_LAYOUT = {
    "template": "plotly_white",
    "colorway": (MODEL, "#e0782b", "#14804a", "#8e44ad", "#b3261e", "#0f8b8d", "#8a5a00"),
    "height": 320,
    "margin": {"l": 56, "r": 16, "t": 12, "b": 48},
    "font": {"family": "system-ui, Segoe UI, Roboto, sans-serif", "size": 13, "color": "#1d2433"},
    "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
}


def page(title: str, body: str) -> str:
    """Give the whole page; the script that draws figures is in it when the body has any."""
    script = f"<script>{get_plotlyjs()}</script>" if "<figure" in body else ""
    return fill("page.html", title=title, script=script, body=body)


def browsable(file: Path) -> Path:
    """Copy a page to a name that browsers take for one; KFP gives artifacts names without an ending."""
    return Path(copyfile(file, f"{file}.html"))


def fill(name: str, /, **parts: object) -> str:
    """Put HTML into the places of a file of this package, such as churn/report_page.html."""
    return Template((files("questline_core") / name).read_text(encoding="utf-8")).substitute(parts)


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], *, kind: str = "") -> str:
    """Give a table of cells in HTML.

    Args:
        heads: of the columns; none for a table without.
        rows: the cells, of which all but the first stand at the right.
        kind: `told` when the second column explains the first, `text` when no column is of numbers, `bars` when the
            last one is drawn.
    """
    head = [_row(heads, "th")] if heads else []
    return f'<div class="table {kind}"><table>{"".join((*head, *map(_row, rows)))}</table></div>'


def tiles(told: Iterable[tuple[str, str]]) -> str:
    """Give the figures that matter most, each with what it says."""
    shown = "".join(f'<div class="tile"><b>{figure}</b><span>{says}</span></div>' for figure, says in told)
    return f'<div class="tiles">{shown}</div>'


def figure(
    title: str, caption: str, traces: Sequence[Any], *, axes: tuple[str, str], wide: bool = False, **layout: Any
) -> str:
    """Draw a figure.

    Args:
        title: what it answers.
        caption: how to read it.
        traces: of plotly.
        axes: what x and y are.
        wide: over both columns of the page.
        layout: what differs from the other figures, in plotly's names.
    """
    drawn = go.Figure(traces, layout=_LAYOUT)
    drawn.update_xaxes(title=axes[0], title_font_size=13, rangemode="tozero")
    drawn.update_yaxes(title=axes[1], title_font_size=13, rangemode="tozero")
    drawn.update_layout(**layout)
    html = drawn.to_html(full_html=False, include_plotlyjs=False, config={"displayModeBar": False, "responsive": True})
    return f"<figure{' class=wide' if wide else ''}><h3>{title}</h3>{html}<figcaption>{caption}</figcaption></figure>"


def guide(x: Sequence[Any], y: Sequence[float], name: str) -> Any:
    """Draw the line that others are compared with."""
    return go.Scatter(x=x, y=y, mode="lines", line={"color": OTHER, "dash": "dash"}, name=name)


def calibration(groups: Mapping[str, Sequence[Bin]]) -> list[Any]:
    """Draw what came by what was predicted, a line a group, with how far chance may move a point (95 %)."""
    lines = [
        go.Scatter(
            x=[one.predicted for one in bins],
            y=[one.actual for one in bins],
            error_y={
                "array": [_by_chance(one)[1] - one.actual for one in bins],
                "arrayminus": [one.actual - _by_chance(one)[0] for one in bins],
                "thickness": 1,
            },
            mode="markers+lines",
            name=name,
        )
        for name, bins in groups.items()
    ]
    most = max((max(one.predicted, one.actual) for bins in groups.values() for one in bins), default=1.0)
    return [*lines, guide([0, most], [0, most], "exact")]


def _by_chance(one: Bin) -> tuple[float, float]:
    """Give the 95 % interval of Wilson: it lies within 0 and 1, and has a width where nobody did or everybody."""
    wide = 1.96**2 / one.rows
    middle, half = one.actual + wide / 2, (wide * (one.actual * (1 - one.actual) + wide / 4)) ** 0.5
    return (middle - half) / (1 + wide), (middle + half) / (1 + wide)


def _row(cells: Iterable[str], tag: str = "td") -> str:
    return "<tr>" + "".join(f"<{tag}>{cell}</{tag}>" for cell in cells) + "</tr>"
