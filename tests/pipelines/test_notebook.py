"""The tutorial notebook runs as it is."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

read: Any = nbformat.read  # untyped
NOTEBOOK = Path(__file__).parents[2] / "pipelines" / "spend.ipynb"


def test_the_notebook_holds_no_results_of_its_own() -> None:
    cells = read(NOTEBOOK, as_version=4).cells

    assert all(not cell.outputs for cell in cells if cell.cell_type == "code")


@pytest.mark.timeout(900)
def test_it_authors_a_step_runs_a_pipeline_and_shows_how_good_the_model_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("PYTHONWARNINGS", os.environ.get("PYTHONWARNINGS", "ignore"))
    notebook = read(NOTEBOOK, as_version=4)

    NotebookClient(
        notebook, timeout=900, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    ).execute()

    told = "".join(output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", ()))
    assert "trees on our features" in told
    assert "The page with all plots" in told
