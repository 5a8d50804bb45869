"""Show the windows of a watch as a page: one row an input, one coloured cell a window."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template

from questline_core.monitoring.watch import MOVED_PSI, Watch, Window
from questline_core.processes import write_atomically


def write_page(file: Path, found: Watch) -> None:
    """Write the page, which needs nothing but itself."""
    template = Template((files("questline_core.monitoring") / "page.html").read_text(encoding="utf-8"))
    write_atomically(file, template.substitute(model=escape(found.model), rows="".join(_rows(found))))


def day_of(micros: int) -> str:
    """Name the day of a time, in UTC."""
    return f"{datetime.fromtimestamp(micros / 1e6, UTC):%Y-%m-%d}"


def _rows(found: Watch) -> Iterator[str]:
    heads = "".join(f"<th>to {day_of(one.until_micros)}<br>{one.rows:,} rows</th>" for one in found.windows)
    yield f"<tr><th>input</th>{heads}<th>KS</th><th>JS</th></tr>"
    newest = found.windows[-1].inputs
    for name in sorted(newest, key=lambda one: -newest[one].psi):
        cells = "".join(_cell(window, name) for window in found.windows)
        others = "".join(f'<td class="number">{number:.3f}</td>' for number in (newest[name].ks, newest[name].js))
        yield f"<tr><td>{escape(name)}</td>{cells}{others}</tr>"


def _cell(window: Window, name: str) -> str:
    if name not in window.inputs:
        return "<td>too few rows</td>"
    psi = window.inputs[name].psi
    depth = min(1.0, psi / (4 * MOVED_PSI))
    return f'<td class="number" style="background:rgba(224,120,43,{depth:.2f})">{psi:.3f}</td>'
