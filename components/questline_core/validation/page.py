"""Show a validation as one page: the verdict, what was found, and how far each input moved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from questline_core.monitoring.profile import Distances
from questline_core.pages import fill, page, table
from questline_core.processes import write_atomically
from questline_core.validation.examples import BROKEN_JS, ODD_PSI, Finding, Validation

_NOT_COMPARED = {
    False: "<p>There was no training before.</p>",
    True: "<p>They were not compared: the data broke a rule, or there was no training before.</p>",
}
"""By whether the training is stopped."""


def write_page(file: Path, found: Validation) -> None:
    """Write the page, which needs nothing but itself."""
    stops = found.stops
    verdict = (
        f"No: {len(stops)} {'check stops' if len(stops) == 1 else 'checks stop'} the training."
        if stops
        else "Yes: the training may begin."
    )
    body = fill(
        "validation/page.html",
        tone="bad" if stops else "good",
        verdict=verdict,
        rows=", ".join(f"{count:,} rows to {_use(part)}" for part, count in found.rows.items()),
        findings=_findings(found.findings) if found.findings else "<p>Nothing.</p>",
        moved=_moved(found.moved) if found.moved else _NOT_COMPARED[bool(stops)],
    )
    write_atomically(file, page("Spend model: data validation", body))


def _use(part: str) -> str:
    return {"train": "train on", "eval": "judge with"}[part]


def _findings(findings: Sequence[Finding]) -> str:
    return table(("", "table", "column", "check", "rows", "such as", "what to do"), map(_row, findings), kind="text")


def _row(finding: Finding) -> Sequence[str]:
    mark = '<b class="bad">stops</b>' if finding.stops else '<b class="odd">odd</b>'
    texts = (finding.part, finding.column, finding.check, f"{finding.rows:,}", ", ".join(finding.examples))
    return (mark, *map(escape, (*texts, finding.advice)))


def _moved(moved: Mapping[str, Distances]) -> str:
    ranked = sorted(moved.items(), key=lambda one: -one[1].js)
    rows = ((escape(name), f"{far.psi:.3f}", f"{far.js:.3f}", _bar(far)) for name, far in ranked)
    bars = table(("input", "stability index", "Jensen-Shannon", ""), rows, kind="bars")
    return fill("validation/moved.html", bars=bars)


def _bar(far: Distances) -> str:
    tone = "bad" if far.js >= BROKEN_JS else "odd" if far.psi >= ODD_PSI else ""
    return f'<div class="bar {tone}" style="width:{100 * far.js:.1f}%"></div>'
