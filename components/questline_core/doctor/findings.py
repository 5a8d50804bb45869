"""What a check found, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How a check ended."""

    GOOD = "good"
    BAD = "bad"
    SKIPPED = "skipped"
    """It could not be made here; `fix` says what it needs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One trap that was looked for."""

    check: str
    verdict: Verdict
    found: str
    fix: str = ""


def good(check: str, found: str) -> Finding:
    """Say that there is no trap."""
    return Finding(check=check, verdict=Verdict.GOOD, found=found)


def bad(check: str, found: str, fix: str) -> Finding:
    """Say what is wrong and how to mend it."""
    return Finding(check=check, verdict=Verdict.BAD, found=found, fix=fix)


def skipped(check: str, why: str, fix: str) -> Finding:
    """Say why a check was not made, and what it needs."""
    return Finding(check=check, verdict=Verdict.SKIPPED, found=why, fix=fix)
