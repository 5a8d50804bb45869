"""Show a validation as one page: the verdict, what was found, and how far each input moved."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template

from questline_core.monitoring.profile import Distances
from questline_core.processes import write_atomically
from questline_core.validation.examples import BROKEN_JS, ODD_PSI, Finding, Validation


def write_page(file: Path, found: Validation) -> None:
    """Write the page, which needs nothing but itself."""
    template = Template((files("questline_core.validation") / "page.html").read_text(encoding="utf-8"))
    stops = found.stops
    verdict = f"No: {len(stops)} checks stop the training." if stops else "Yes: the training may begin."
    page = template.substitute(
        tone="bad" if stops else "good",
        verdict=verdict,
        rows=", ".join(f"{count:,} rows to {_use(part)}" for part, count in found.rows.items()),
        findings=_table("".join(_row(finding) for finding in found.findings)) or "<p>Nothing.</p>",
        moved=_moved(found.moved) or "<p>There was no training before, or the data broke a rule.</p>",
    )
    write_atomically(file, page)


def _use(part: str) -> str:
    return {"train": "train on", "eval": "judge with"}[part]


def _table(rows: str) -> str:
    heads = "".join(f"<th>{head}</th>" for head in ("", "table", "column", "check", "rows", "such as", "what to do"))
    return f"<table><tr>{heads}</tr>{rows}</table>" if rows else ""


def _row(finding: Finding) -> str:
    mark = '<b class="bad">stops</b>' if finding.stops else '<b class="odd">odd</b>'
    cells = (finding.part, finding.column, finding.check, f"{finding.rows:,}", ", ".join(finding.examples))
    texts = "".join(f"<td>{escape(text)}</td>" for text in (*cells, finding.advice))
    return f"<tr><td>{mark}</td>{texts}</tr>"


def _moved(moved: dict[str, Distances]) -> str:
    rows = "".join(_bars(moved))
    heads = "".join(f"<th>{head}</th>" for head in ("input", "stability index", "Jensen-Shannon", ""))
    return f"<table><tr>{heads}</tr>{rows}</table>" if rows else ""


def _bars(moved: dict[str, Distances]) -> Iterator[str]:
    for name, far in sorted(moved.items(), key=lambda one: -one[1].js):
        tone = "bad" if far.js >= BROKEN_JS else "odd" if far.psi >= ODD_PSI else ""
        numbers = "".join(f'<td class="number">{number:.3f}</td>' for number in (far.psi, far.js))
        bar = f'<div class="bar {tone}" style="width:{100 * far.js:.1f}%"></div>'
        yield f'<tr><td>{escape(name)}</td>{numbers}<td width="50%">{bar}</td></tr>'
