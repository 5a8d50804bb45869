"""Drive the stream on this machine: pull a batch, make rows, write them, and only then acknowledge."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import pyarrow as pa
import structlog

from questline_beam.embedded import EmbeddedRows, Outcome
from questline_beam.tables import EVENT_KEY, PREDICTION_KEY, REJECT_KEY
from questline_beam.tracing import span_of_write
from questline_core.broker.port import Broker, Delivery
from questline_core.events.sieve import ahead, late
from questline_core.privacy.forgotten import PLAYER, Forgotten
from questline_core.warehouse.port import EVENTS, PREDICTIONS, REJECTS, Appended, Warehouse

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

FIRST_BACKOFF_S, LONGEST_BACKOFF_S = 0.5, 30.0
LOOK_AGAIN_S = 0.1

log = structlog.get_logger()


@runtime_checkable
class KeepsDeadLetters(Protocol):
    """A broker that can tell how many messages it gave up."""

    def dead_letters(self) -> int:
        """Count them."""


@dataclass(slots=True)
class Progress:
    """What this process has done since it started, and what waits."""

    rows: int = 0
    predictions: int = 0
    """Rows of what models answered."""
    duplicates: int = 0
    rejects: int = 0
    forgotten: int = 0
    """Events and rejects of players who were forgotten: they are not stored."""
    late: int = 0
    """Rows of events that came more than 72 hours after their time; they are in their own day."""
    ahead: int = 0
    """Rows of events whose time is more than 23 hours ahead of their arrival."""
    batches: int = 0
    backlog: int = 0
    dead_letters: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How the driver takes its batches; see `StreamSettings`."""

    batch: int
    lease_s: float
    wait_s: float


@dataclass(slots=True)
class Driver:
    """The embedded stream, from a broker to a warehouse that has the tables."""

    broker: Broker
    warehouse: Warehouse
    rows: EmbeddedRows
    pace: Pace
    on_players: Callable[[Collection[str]], object] = lambda _: None
    """Called with the players of the rows of a batch once they are written."""
    report: Callable[[Mapping[str, int]], object] = lambda _: None
    """Called with the fields of `Progress` whenever they have changed."""
    forgotten: Forgotten | None = None
    """Players whose events are dropped; None when nobody can be forgotten here."""
    tracer: Tracer | None = None
    """Makes spans of writes; None when no collector wants them."""
    progress: Progress = field(default_factory=Progress)
    _told: Mapping[str, int] = field(default_factory=dict)

    def run(self, stop: threading.Event) -> None:
        """Work until told to stop; a batch that was begun is finished."""
        backoff_s = FIRST_BACKOFF_S
        while not stop.is_set():
            started = time.monotonic()
            try:
                taken = self.one_batch(keep_trying=stop)
            except Exception:
                log.exception("batch given back", again_in_s=backoff_s)
                stop.wait(backoff_s)
                backoff_s = min(2 * backoff_s, LONGEST_BACKOFF_S)
                continue
            backoff_s = FIRST_BACKOFF_S
            if not taken:
                stop.wait(LOOK_AGAIN_S)
            elif taken < self.pace.batch:
                stop.wait(self.pace.wait_s - (time.monotonic() - started))

    def drain(self, stop: threading.Event) -> None:
        """Work until nothing waits, or until told to stop.

        Raises:
            QuestlineError: a batch cannot be written; it stays in the broker.
        """
        while not stop.is_set() and self.one_batch(keep_trying=None):
            pass

    def one_batch(self, *, keep_trying: threading.Event | None = None) -> int:
        """Take one batch to the warehouse and return its size; 0 when nothing waits.

        Args:
            keep_trying: a batch that cannot be written is kept and tried again until this is set, because to give it
                back would use up the tries of good messages in an outage. Without it, it is given back at once.
        """
        deliveries = self.broker.pull(max_messages=self.pace.batch, lease_s=self.pace.lease_s)
        if not deliveries:
            self._tell()
            return 0
        ack_ids = [delivery.ack_id for delivery in deliveries]
        try:
            self._write(deliveries, keep_trying)
        except BaseException:
            self.broker.nack(ack_ids)
            raise
        self.broker.ack(ack_ids)
        self.progress.batches += 1
        self._tell()
        return len(deliveries)

    def _write(self, deliveries: Sequence[Delivery], stop: threading.Event | None) -> None:
        outcome = self.rows.run([delivery.message for delivery in deliveries])
        results = sum(table.num_rows for table in (outcome.rows, outcome.predictions, outcome.rejects))
        results += outcome.duplicates
        if results != len(deliveries):
            raise RuntimeError(f"{len(deliveries)} messages became {results} results; nothing of them is written")
        outcome = self._without_forgotten(outcome, again=any(delivery.attempt > 1 for delivery in deliveries))
        rows = outcome.rows
        # What an earlier try of this batch has written is left out by its key, and counts as a duplicate.
        with span_of_write(self.tracer, rows):
            events = self._append(EVENTS, rows, key=EVENT_KEY, stop=stop)
        self.progress.rows += events.rows
        self.progress.late += late(rows)
        self.progress.ahead += ahead(rows)
        self.progress.duplicates += outcome.duplicates + events.skipped
        rejects = self._append(REJECTS, outcome.rejects, key=REJECT_KEY, stop=stop)
        self.progress.rejects += rejects.rows
        self.progress.duplicates += rejects.skipped
        predictions = self._append(PREDICTIONS, outcome.predictions, key=PREDICTION_KEY, stop=stop)
        self.progress.predictions += predictions.rows
        self.progress.duplicates += predictions.skipped
        if self.forgotten:
            self.forgotten.settle(EVENTS, outcome.rows)
            self.forgotten.settle(PREDICTIONS, outcome.predictions)
        self.on_players(_players(outcome.rows))

    def _without_forgotten(self, outcome: Outcome, *, again: bool) -> Outcome:
        """Leave out forgotten players, and what an earlier try that broke off may have written of them."""
        if self.forgotten is None:
            return outcome
        self.forgotten.refresh()
        rows, rejects = self.forgotten.without(outcome.rows), self.forgotten.without_rejects(outcome.rejects)
        predictions = self.forgotten.without(outcome.predictions)
        left_out = outcome.rows.num_rows - rows.num_rows + outcome.predictions.num_rows - predictions.num_rows
        if again and left_out:
            for table, written in ((EVENTS, outcome.rows), (PREDICTIONS, outcome.predictions)):
                if gone := self.forgotten.among(_players(written)):
                    self.warehouse.erase(table, column=PLAYER, values=gone)
        self.progress.forgotten += left_out + outcome.rejects.num_rows - rejects.num_rows
        return replace(outcome, rows=rows, predictions=predictions, rejects=rejects)

    def _append(self, table: str, rows: pa.Table, *, key: str, stop: threading.Event | None) -> Appended:
        if not rows.num_rows:
            return Appended(rows=0, skipped=0)
        backoff_s = FIRST_BACKOFF_S
        while True:
            try:
                return self.warehouse.append(table, rows, key=key)
            except Exception as error:
                if stop is None or stop.is_set():
                    raise
                reason = f"{type(error).__name__}: {error}"
                log.warning("rows not written", table=table, reason=reason, again_in_s=backoff_s)
                stop.wait(backoff_s)
                backoff_s = min(2 * backoff_s, LONGEST_BACKOFF_S)

    def _tell(self) -> None:
        """Report the progress and what waits, if anything of it has changed."""
        self.progress.backlog = self.broker.depth()
        if isinstance(self.broker, KeepsDeadLetters):
            self.progress.dead_letters = self.broker.dead_letters()
        facts = asdict(self.progress)
        if facts != self._told:
            self._told = facts
            self.report(facts)


def _players(rows: pa.Table) -> set[str]:
    return {str(player) for player in rows[PLAYER].unique().to_pylist()}
