"""`questline monitor`: tell how far the inputs of the spend model have moved since its training."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from questline_core.monitoring.watch import Watch


def monitor(
    *,
    windows: Annotated[int, typer.Option(min=1, help="How many windows to look at.")] = 4,
    days: Annotated[int, typer.Option(min=1, help="Length of a window.")] = 7,
    fail_above: Annotated[
        float | None, typer.Option(min=0, help="End with exit code 1 if an input's stability index is above this.")
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Write the whole table to this HTML file.")] = None,
) -> None:
    """Compare the players of the last days with those that the newest spend model learned from."""
    from contextlib import closing

    from questline_core.monitoring.page import write_page
    from questline_core.monitoring.watch import watch
    from questline_core.settings import PlatformSettings
    from questline_core.warehouse.port import open_warehouse

    settings = PlatformSettings.read()
    with closing(open_warehouse(settings.warehouse_url)) as warehouse:
        found = watch(warehouse, settings.model_store_url, windows=windows, days=days)
    _print(found)
    if report:
        write_page(report, found)
        print(f"report: {report}")
    if fail_above is not None and any(far.psi > fail_above for far in found.windows[-1].inputs.values()):
        raise typer.Exit(1)


def _print(found: Watch) -> None:
    from questline_core.monitoring.page import day_of

    print(f"inputs of spend {found.model} against its training (stability index; 0.25 is much)")
    for window in found.windows:
        moved = ", ".join(f"{name} {window.inputs[name].psi:.2f}" for name in window.moved)
        word = moved or ("nothing moved" if window.inputs else "too few rows")
        print(f"  to {day_of(window.until_micros)}  {window.rows:>8,} rows  {word}")
