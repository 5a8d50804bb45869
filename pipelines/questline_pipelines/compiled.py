"""Compile a pipeline to the intermediate form that Kubeflow Pipelines runs."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from kfp.compiler import Compiler

from questline_core.processes import write_atomically
from questline_pipelines.catalogue import function_of, load


def compile_pipeline(name: str, target: Path) -> None:
    """Write the YAML of one pipeline.

    Raises:
        BadInput: there is no such pipeline, or the file cannot be written.
    """
    function = load(function_of(name))
    with TemporaryDirectory() as folder:
        aside = Path(folder) / "pipeline.yaml"
        Compiler().compile(function, str(aside))
        write_atomically(target, aside.read_text(encoding="utf-8"))
