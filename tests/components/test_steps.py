"""Rules that every step keeps."""

from __future__ import annotations

import ast
from importlib.resources import files
from pathlib import Path

import pytest

ROOT = Path(str(files("questline_components")))
STEPS = sorted(path for path in ROOT.glob("*/*.py") if path.name != "__init__.py")


def test_there_are_steps() -> None:
    assert {path.parent.name for path in STEPS} == {"backfill", "churn", "rollout", "spend"}


@pytest.mark.parametrize("path", STEPS, ids=lambda path: path.stem)
def test_a_step_imports_what_it_works_with_inside_its_body(path: Path) -> None:
    module = ast.parse(path.read_text())

    imported = {node.module for node in module.body if isinstance(node, ast.ImportFrom)}
    assert imported <= {"kfp", "questline_components.image"}
    assert not any(isinstance(node, ast.Import) for node in module.body)


@pytest.mark.parametrize("path", STEPS, ids=lambda path: path.stem)
def test_a_step_is_a_thin_shell(path: Path) -> None:
    (step,) = (node for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef))

    work = [node for node in ast.walk(step) if isinstance(node, ast.stmt) and not isinstance(node, ast.ImportFrom)]
    assert step.name == path.stem
    assert len(work) <= 2 + 9  # the function and its docstring, and what it does
