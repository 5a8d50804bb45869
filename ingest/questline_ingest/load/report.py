"""Tell a person or a program what a load found: rate, latency, outcomes, and what the generator itself cost."""

from __future__ import annotations

from collections import Counter
from typing import Any

from rich.console import Console
from rich.table import Table

from questline_ingest.load.record import Record


def facts(record: Record) -> dict[str, Any]:
    """Sum a record up, with values that JSON can hold."""
    wall_s = record.wall_s or 1.0
    answered = sum(record.outcomes.values())
    return {
        "calls": record.calls,
        "events": record.events,
        "wall_s": round(record.wall_s, 3),
        "calls_per_s": round(record.calls / wall_s, 1),
        "answered_events_per_s": round(answered / wall_s, 1),
        "latency_ms": {_name(at): round(value, 3) for at, value in record.percentiles_ms().items()},
        "outcomes": dict(record.outcomes),
        "predictions": dict(record.predictions),
        "failed_calls": dict(record.failures),
        "generator_cpu_s": round(record.cpu_s, 3),
        "generator_cpu_us_a_call": round(record.cpu_s / max(1, record.calls) * 1e6, 1),
        "latest_departure_ms": round(record.late_s * 1000, 3),
    }


def show(found: dict[str, Any], console: Console) -> None:
    """Print the facts as one table."""
    table = Table("", "", show_header=False)
    table.columns[1].justify = "right"
    table.add_row("calls", f"{found['calls']:,} with {found['events']:,} events in {found['wall_s']:.1f} s")
    table.add_row(
        "rate", f"{found['calls_per_s']:,.0f} calls/s, {found['answered_events_per_s']:,.0f} events/s answered"
    )
    for name, value in found["latency_ms"].items():
        table.add_row(f"latency {name}", f"{value:,.2f} ms")
    for what in ("outcomes", "predictions", "failed_calls"):
        for name, count in sorted(Counter(found[what]).items()):
            table.add_row(f"{what.replace('_', ' ')}: {name}", f"{count:,}")
    table.add_row("generator's own CPU", f"{found['generator_cpu_us_a_call']:,.0f} µs a call")
    table.add_row("left late by at most", f"{found['latest_departure_ms']:,.1f} ms")
    console.print(table)
    console.print("Latency counts from when a call was due, whether or not it could leave then.")


def _name(percentile: float) -> str:
    return "longest" if percentile == 100 else f"p{percentile:g}"  # noqa: PLR2004 - the whole
