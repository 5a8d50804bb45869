"""Structured logs: JSON lines to standard error, or readable lines on a terminal."""

from __future__ import annotations

import logging
import sys
from functools import partial

import structlog
from structlog.typing import EventDict

_AS_JSON = (structlog.processors.format_exc_info, structlog.processors.JSONRenderer())


def configure_logs(process: str, *, level: int = logging.INFO) -> None:
    """Send every log of this process to standard error, one event a line, each with the process's name."""
    terminal = sys.stderr.isatty()
    structlog.configure(
        processors=[
            partial(_named, process),
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *([structlog.dev.ConsoleRenderer()] if terminal else _AS_JSON),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


def _named(process: str, _logger: object, _method: str, event: EventDict) -> EventDict:
    """Name the process in lines of every thread; what is bound to a context stays in the thread that bound it."""
    return {**event, "process": process}
