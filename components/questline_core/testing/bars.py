"""Say how a measured figure stands beside the bar that was set for it."""

from __future__ import annotations


def at_most(measured: float, bar: float, unit: str) -> str:
    """Tell in one line whether a cost keeps its bar."""
    return _line(measured, bar, unit, "at most", kept=measured <= bar)


def at_least(measured: float, bar: float, unit: str) -> str:
    """Tell in one line whether a rate reaches its bar."""
    return _line(measured, bar, unit, "at least", kept=measured >= bar)


def _line(measured: float, bar: float, unit: str, how: str, *, kept: bool) -> str:
    verdict = "kept" if kept else f"MISSED, {measured / bar:.2f} of it"
    return f"{_number(measured)} {unit} (bar: {how} {_number(bar)} {unit}: {verdict})"


def _number(value: float) -> str:
    return f"{value:,.2f}".rstrip("0").rstrip(".")
