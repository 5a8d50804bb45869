"""The embedded warehouse keeps the contract of all warehouses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from questline_core.testing.warehouse_contract import WarehouseContract
from questline_core.warehouse.port import Warehouse, open_warehouse


@dataclass
class EmbeddedBench:
    folder: Path
    opened: ExitStack

    @property
    def address(self) -> str:
        return f"duckdb:{self.folder}"

    def open(self) -> Warehouse:
        return self.opened.enter_context(closing(open_warehouse(self.address)))


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[EmbeddedBench]:
    with ExitStack() as opened:
        yield EmbeddedBench(tmp_path / "it's a=warehouse", opened)


class TestEmbeddedWarehouse(WarehouseContract):
    pass
