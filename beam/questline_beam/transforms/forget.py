"""Forget: rows of players who were forgotten go no further, so that a late event brings nobody back."""

from __future__ import annotations

import time
from collections.abc import Iterator

import apache_beam as beam
import pyarrow as pa
from apache_beam.metrics.metric import Metrics
from apache_beam.pvalue import PCollection

from questline_beam.tables import REJECT_KEY
from questline_core.errors import BadInput
from questline_core.privacy.forgotten import FORGOTTEN, PLAYER, Forgotten
from questline_core.privacy.key import open_key
from questline_core.settings import PlatformSettings
from questline_core.warehouse.port import EVENTS, REJECTS, Warehouse, open_warehouse

LOOK_AGAIN_S = 10.0
"""How old what a worker knows of forgotten players may be."""


def forgotten_in(warehouse: Warehouse, settings: PlatformSettings) -> Forgotten:
    """Open the table of forgotten players with the key that they were forgotten with.

    Raises:
        BadInput: players were forgotten, and this worker has no key: a new one would know none of them.
    """
    key = settings.privacy_key_file
    if not key.exists() and FORGOTTEN in warehouse.tables() and warehouse.describe(FORGOTTEN).rows:
        raise BadInput(
            f"players were forgotten, but there is no key at {key} to know them by; put the file into the image of the "
            "workers, readable for their user alone"
        )
    return Forgotten(warehouse, open_key(settings))


class KeepOthers(beam.DoFn):
    """Leaves out rows of forgotten players, and counts them.

    Of rows that are stored already it erases those of players who were forgotten while they were on their way: erasure
    may have looked through the table before they came.
    """

    def __init__(self, settings: PlatformSettings, table: str, *, stored: bool) -> None:
        self._settings, self._table, self._stored = settings, table, stored
        self._warehouse: Warehouse | None = None
        self._forgotten: Forgotten | None = None
        self._looked_s = 0.0

    def setup(self) -> None:
        """Open the table of forgotten players, once for each worker."""
        self._warehouse = open_warehouse(self._settings.warehouse_url)
        self._forgotten = forgotten_in(self._warehouse, self._settings)
        self._looked_s = time.monotonic()

    def teardown(self) -> None:
        """Close it."""
        if self._warehouse is not None:
            self._warehouse.close()

    def process(self, rows: pa.Table) -> Iterator[pa.Table]:
        """Yield the rows of the other players."""
        assert self._forgotten is not None  # noqa: S101 - the runner has called setup
        assert self._warehouse is not None  # noqa: S101 - likewise
        if self._stored or time.monotonic() - self._looked_s > LOOK_AGAIN_S:
            self._forgotten.refresh()
            self._looked_s = time.monotonic()
        if self._table == REJECTS:
            others, key = self._forgotten.without_rejects(rows), REJECT_KEY
        else:
            others, key = self._forgotten.without(rows), PLAYER
        left_out = rows.num_rows - others.num_rows
        Metrics.counter(self._table, "forgotten").inc(left_out)
        if self._stored and left_out:
            gone = {*rows[key].to_pylist()} - {*others[key].to_pylist()}
            self._warehouse.erase(self._table, column=key, values=sorted(gone))
        if others.num_rows:
            yield others


class DropForgotten(beam.PTransform[PCollection[pa.Table], PCollection[pa.Table]]):
    """Tables lose rows of forgotten players, and count them under the name of the table they go to, or are in."""

    def __init__(self, settings: PlatformSettings, table: str = EVENTS, *, stored: bool = False) -> None:
        """Set where the table of forgotten players and the key are found, and whether the rows are stored already."""
        super().__init__()
        self._keep = KeepOthers(settings, table, stored=stored)

    def expand(self, rows: PCollection[pa.Table]) -> PCollection[pa.Table]:
        """See the class."""
        return rows | "Keep others" >> beam.ParDo(self._keep).with_output_types(pa.Table)
