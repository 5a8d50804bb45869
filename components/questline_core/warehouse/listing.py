"""List the tables of a warehouse, with their rows and columns."""

from __future__ import annotations

import pyarrow as pa

from questline_core.warehouse.columns import type_name
from questline_core.warehouse.port import Warehouse


def list_tables(warehouse: Warehouse) -> pa.Table:
    """Give one row for each table: its name, its number of rows, and its columns as `name TYPE`."""
    names = warehouse.tables()
    found = [warehouse.describe(name) for name in names]
    columns = [[f"{field.name} {type_name(field.type)}" for field in table.schema] for table in found]
    return pa.table(
        {
            "table": pa.array(names, pa.string()),
            "rows": pa.array([table.rows for table in found], pa.int64()),
            "columns": pa.array(columns, pa.list_(pa.string())),
        }
    )
