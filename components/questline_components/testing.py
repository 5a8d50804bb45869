"""Run a step as a function, with artifacts in a folder: what a step's test needs, in about a second."""

from __future__ import annotations

from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from typing import Any, TypeVar, get_args

from kfp import dsl
from kfp.dsl.types.type_annotations import OutputAnnotation

Kind = TypeVar("Kind", bound=dsl.Artifact)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What a step gave."""

    answer: Any
    outputs: dict[str, dsl.Artifact]
    """Its output artifacts by name."""


def artifact(kind: type[Kind], path: Path, text: str = "", **metadata: Any) -> Kind:
    """Make an artifact of a file or folder; with a text, the file is written."""
    if text:
        path.write_text(text, encoding="utf-8")
    return kind(uri=str(path), metadata=metadata)


def run_step(step: Any, folder: Path, **inputs: Any) -> Ran:
    """Call a step's function; its output artifacts lie in the folder, each under its name.

    Args:
        step: what `component()` made of a function.
        folder: for the outputs.
        inputs: its parameters and input artifacts.
    """
    outputs = {
        name: get_args(parameter.annotation)[0](uri=str(folder / name))
        for name, parameter in signature(step.python_func, eval_str=True).parameters.items()
        if OutputAnnotation in get_args(parameter.annotation)[1:]
    }
    return Ran(answer=step.python_func(**inputs, **outputs), outputs=outputs)
