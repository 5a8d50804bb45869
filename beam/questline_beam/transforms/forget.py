"""Forget: rows of players who were forgotten go no further, so that a late event brings nobody back."""

from __future__ import annotations

import time
from collections.abc import Iterator

import apache_beam as beam
import pyarrow as pa
from apache_beam.metrics.metric import Metrics
from apache_beam.pvalue import PCollection

from questline_core.privacy.forgotten import Forgotten
from questline_core.privacy.key import open_key
from questline_core.settings import PlatformSettings
from questline_core.warehouse.port import EVENTS, Warehouse, open_warehouse

LOOK_AGAIN_S = 10.0
"""How old what a worker knows of forgotten players may be."""


class KeepOthers(beam.DoFn):
    """Leaves out rows of forgotten players, and counts them."""

    def __init__(self, settings: PlatformSettings, table: str) -> None:
        self._settings, self._table = settings, table
        self._warehouse: Warehouse | None = None
        self._forgotten: Forgotten | None = None
        self._looked_s = 0.0

    def setup(self) -> None:
        """Open the table of forgotten players, once for each worker."""
        self._warehouse = open_warehouse(self._settings.warehouse_url)
        self._forgotten = Forgotten(self._warehouse, open_key(self._settings))
        self._looked_s = time.monotonic()

    def teardown(self) -> None:
        """Close it."""
        if self._warehouse is not None:
            self._warehouse.close()

    def process(self, rows: pa.Table) -> Iterator[pa.Table]:
        """Yield the rows of the other players."""
        assert self._forgotten is not None  # noqa: S101 - the runner has called setup
        if time.monotonic() - self._looked_s > LOOK_AGAIN_S:
            self._forgotten.refresh()
            self._looked_s = time.monotonic()
        others = self._forgotten.without(rows)
        Metrics.counter(self._table, "forgotten").inc(rows.num_rows - others.num_rows)
        if others.num_rows:
            yield others


class DropForgotten(beam.PTransform[PCollection[pa.Table], PCollection[pa.Table]]):
    """Tables lose rows of forgotten players, and count them under the name of the table they go to."""

    def __init__(self, settings: PlatformSettings, table: str = EVENTS) -> None:
        """Set where the table of forgotten players and the key are found."""
        super().__init__()
        self._settings, self._table = settings, table

    def expand(self, rows: PCollection[pa.Table]) -> PCollection[pa.Table]:
        """See the class."""
        return rows | "Keep others" >> beam.ParDo(KeepOthers(self._settings, self._table)).with_output_types(pa.Table)
