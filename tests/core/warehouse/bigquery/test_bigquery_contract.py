"""The BigQuery adapter keeps the contract of all warehouses, against a stand-in that has real rows."""

from __future__ import annotations

from questline_core.testing.warehouse_contract import WarehouseContract


class TestBigQueryWarehouse(WarehouseContract):
    # Every call crosses the wire, and each process imports Google's clients: fewer of both than with files.
    appends_watched = 12
    kills_after_s = (0.02, 0.11)
