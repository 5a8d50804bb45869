"""The reference page and the schema say the same."""

from __future__ import annotations

import re
from pathlib import Path

from questline_core.events.columns import Column, columns
from questline_core.events.reference import reference_page, walk
from questline_core.events.schema import TABLES, mode

PAGE = Path(__file__).parents[3] / "docs/events.md"
ROW = re.compile(r"\| `(?P<path>[\w.]+)` \| (?P<kind>[A-Z]+) \| (?P<mode>[A-Z]+) \| (?P<meaning>.*) \|")


def test_the_committed_page_is_the_one_that_the_code_makes() -> None:
    assert PAGE.read_text(encoding="utf-8") == reference_page(), "run `make generate`"


def test_the_page_names_every_column_with_its_type_mode_and_meaning() -> None:
    text = PAGE.read_text(encoding="utf-8")

    for name, message in TABLES.items():
        section = text.split(f"## telemetry.{name}\n")[1].split("\n## ")[0]
        rows = [tuple(found.groups()) for found in ROW.finditer(section)]
        assert rows == [_row(path, column) for path, column in walk(columns(message))]


def _row(path: str, column: Column) -> tuple[str, str, str, str]:
    return path, str(column.kind), mode(column), column.description


def test_every_top_level_column_of_an_event_has_a_meaning() -> None:
    assert [column.name for column in columns(TABLES["events"]) if not column.description] == []
