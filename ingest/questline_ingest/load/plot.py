"""Draw a load as one HTML file that needs no network: rate and latency by second, and how latency is spread."""

from __future__ import annotations

from pathlib import Path

from questline_core.errors import BadInput, MissingExtra
from questline_ingest.load.record import Record

_POINTS = 400
"""Of the curve of the distribution."""


def draw(record: Record, file: Path, *, heading: str) -> None:
    """Write the plot.

    Raises:
        MissingExtra: plotly is not installed.
        BadInput: the file cannot be written.
    """
    try:
        from plotly import graph_objects as go  # noqa: PLC0415 - only who plots needs it
        from plotly.subplots import make_subplots  # noqa: PLC0415 - as above
    except ImportError:
        raise MissingExtra("--plot", "train") from None
    figure = make_subplots(
        rows=3,
        cols=1,
        subplot_titles=("calls due in each second", "latency by second, ms", "share of calls within … ms"),
    )
    seconds, calls, middle, high = zip(*record.by_second(), strict=True) if record.calls else ((), (), (), ())
    figure.add_trace(go.Bar(x=seconds, y=calls, name="calls"), row=1, col=1)
    figure.add_trace(go.Scatter(x=seconds, y=middle, name="p50", mode="lines+markers"), row=2, col=1)
    figure.add_trace(go.Scatter(x=seconds, y=high, name="p99", mode="lines+markers"), row=2, col=1)
    latencies_ms, shares = _distribution(record)
    figure.add_trace(go.Scatter(x=latencies_ms, y=shares, name="all calls", mode="lines"), row=3, col=1)
    figure.update_xaxes(title_text="seconds from the start", row=2, col=1)
    figure.update_xaxes(type="log", row=3, col=1)
    figure.update_layout(title_text=heading, height=1000)
    try:
        file.write_text(figure.to_html(include_plotlyjs=True), encoding="utf-8")
    except OSError as error:
        raise BadInput(f"cannot write {file} ({error.strerror}); choose another --plot") from None


def _distribution(record: Record) -> tuple[list[float], list[float]]:
    ordered = sorted(record.latency_s)
    places = sorted({round(step * (len(ordered) - 1) / _POINTS) for step in range(_POINTS + 1)}) if ordered else []
    return [ordered[at] * 1000 for at in places], [(at + 1) / len(ordered) for at in places]
