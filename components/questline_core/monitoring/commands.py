"""`questline monitor`: tell how the models do in use: drift, training-serving skew, and what came true."""

from __future__ import annotations

from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from questline_core.monitoring.observe import Findings
    from questline_core.monitoring.watch import Window


def monitor(
    *,
    windows: Annotated[int, typer.Option(min=1, help="How many windows to look at.")] = 4,
    days: Annotated[int, typer.Option(min=1, help="Length of a window.")] = 7,
    fail_above: Annotated[
        float | None,
        typer.Option(min=0, help="End with exit code 1 if a stability index of the newest window is above this."),
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Write tables and plots to this HTML file.")] = None,
) -> None:
    """Hold what the models were asked and answered against their training, and against what players did then."""
    from contextlib import closing

    from questline_core.monitoring.observe import observe
    from questline_core.monitoring.page import write_page
    from questline_core.settings import PlatformSettings
    from questline_core.warehouse.port import open_warehouse

    settings = PlatformSettings.read_existing()
    with closing(open_warehouse(settings.warehouse_url)) as warehouse:
        found = observe(warehouse, settings.model_store_url, windows=windows, days=days)
    _print(found)
    if report:
        write_page(report, found)
        print(f"report: {report}")
    if fail_above is not None and any(psi > fail_above for psi in found.watch.windows[-1].news.values()):
        raise typer.Exit(1)


def _print(found: Findings) -> None:
    print(f"spend {found.watch.model} against its training (stability index; 0.25 is much)")
    for window in found.watch.windows:
        print(f"  {_drift(window)}")
    print("asked with, against the examples of the same events")
    differing = ", ".join(f"{one.name} {one.differs:.1%}" for one in found.skew.differing[:8])
    print(f"  {found.skew.compared:>8,} compared  {differing or 'nothing differs' if found.skew.compared else ''}")
    print(f"answered, against what came in {found.outcomes.horizon_hours} h ({found.outcomes.waiting:,} answers wait)")
    for one in found.outcomes.by_revision:
        covered = f"{one.coverage_of_spenders:.0%} ± {one.chance:.0%}" if one.spenders else "-"
        error = f"{one.total_error:+.1%}" if one.actual else "-"
        print(
            f"  {one.answers:>8,} answers  {one.revision}  total {error}  spenders within the bounds {covered}  "
            f"log loss {one.log_loss:.4f}  Brier {one.brier:.4f}"
        )
    print(f"churn answered, against who came back ({found.churn.waiting:,} answers wait)")
    for each in found.churn.found:
        auc = "-" if isnan(each.roc_auc) else f"{each.roc_auc:.3f}"
        print(
            f"  {each.answers:>8,} answers  {each.revision}  {each.life}  left {each.left:,} of {each.expected:,.1f}  "
            f"log loss {each.log_loss:.4f}  Brier {each.brier:.4f}  ROC AUC {auc}"
        )


def _drift(window: Window) -> str:
    from questline_core.monitoring.watch import MOVED_PSI, day_of

    moved = ", ".join(
        f"{name} {psi:.2f}" for name, psi in sorted(window.news.items(), key=lambda one: -one[1]) if psi >= MOVED_PSI
    )
    word = moved or ("nothing moved" if window.news else "too few rows")
    return f"to {day_of(window.until_micros)}  {window.rows:>8,} rows  {window.answers:>8,} answers  {word}"
