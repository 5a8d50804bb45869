"""The README of each folder of steps is written from the steps."""

from __future__ import annotations

from pathlib import Path

import pytest

from questline_components.reference import folders, page


@pytest.mark.parametrize("folder", folders(), ids=lambda folder: folder.name)
def test_each_step_of_a_folder_has_a_section(folder: Path) -> None:
    written = page(folder)

    steps = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    assert steps == {line.removeprefix("## ") for line in written.splitlines() if line.startswith("## ")}


def test_a_section_has_what_the_signature_says() -> None:
    (spend,) = (folder for folder in folders() if folder.name == "spend")
    (gate,) = (part for part in page(spend).split("\n## ") if part.startswith("gate\n"))

    assert "Return whether to ship" in gate
    assert "| takes | `metrics` | Metrics |  |" in gate
    assert "| takes | `strict` | bool | `False` |" in gate
    assert "| gives | `verdict` | Markdown |  |" in gate
    assert "| gives | its return value | bool |  |" in gate
