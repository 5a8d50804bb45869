from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from questline_core.warehouse.port import Warehouse, open_warehouse


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Warehouse]:
    with closing(open_warehouse(f"duckdb:{tmp_path / 'warehouse'}")) as opened:
        yield opened
