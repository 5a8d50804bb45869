"""The pipelines by name, imported only when one is used: KFP alone takes two seconds."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from questline_core.errors import BadInput

_PIPELINES = {
    "backfill": "questline_pipelines.backfill:backfill",
    "churn": "questline_pipelines.churn:churn_scoring",
    "spend": "questline_pipelines.spend:spend_training",
}


def function_of(pipeline: str) -> str:
    """Tell the `module:function` of a pipeline.

    Raises:
        BadInput: there is none of this name.
    """
    if pipeline not in _PIPELINES:
        raise BadInput(f"there is no pipeline {pipeline!r}; the pipelines are: {', '.join(sorted(_PIPELINES))}")
    return _PIPELINES[pipeline]


def load(function: str) -> Any:
    """Import the pipeline at `module:function`."""
    module, _, name = function.partition(":")
    return getattr(import_module(module), name)
