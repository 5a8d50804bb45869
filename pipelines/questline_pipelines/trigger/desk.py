"""Decide whether something that happened starts a run, and start at most one."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import structlog

from questline_core.warehouse.port import EVENTS, Warehouse, open_warehouse
from questline_pipelines.trigger.drift import DriftWatch
from questline_pipelines.trigger.evidence import Evidence, look
from questline_pipelines.trigger.ledger import STARTED, Entry, Ledger
from questline_pipelines.trigger.messages import Incident
from questline_pipelines.trigger.settings import TriggerSettings
from questline_pipelines.trigger.starter import RUNNING, Starter

PIPELINE = "spend"

Parameters = Callable[[], Mapping[str, Any]]
"""Makes the arguments of a run of the spend pipeline, as the world is now."""


@dataclass(frozen=True, slots=True)
class Desk:
    """Takes alerts and looks at the warehouse; all that it decides is in the ledger."""

    settings: TriggerSettings
    ledger: Ledger
    starter: Starter
    parameters: Parameters
    drift: DriftWatch

    def alert(self, incident: Incident) -> str:
        """Decide about an alert on load: it starts a run if there is at least one label that no training knew.

        Returns:
            `started`, or why nothing was.

        Raises:
            QuestlineError: a run was to be started and could not be; nothing was decided, so that it can come again.
        """
        if not incident.is_open:
            return "the alert closed"
        key = f"load:{incident.id}"
        with self.ledger.deciding():
            if self.ledger.find(key):
                return "decided already"
            entry = Entry(key=key, at_s=time.time(), action=PIPELINE, cause="alert on load", decision="")
            evidence = self._evidence()
            return self._decide(entry, evidence, enough=evidence is not None and evidence.labels > 0)

    def look(self) -> str:
        """Look at the warehouse and start a run for many new labels, for load, or for drift.

        Raises:
            QuestlineError: a run was to be started and could not be, or the warehouse cannot be read.
        """
        with self.ledger.deciding():
            if blocked := self._blocked():
                return blocked
            evidence = self._evidence()
            cause = self._cause(evidence) if evidence else ""
            if not evidence or not cause:
                return "nothing new to learn from"
            key = f"look:{evidence.data_version}:{secrets.token_hex(4)}"
            entry = Entry(key=key, at_s=time.time(), action=PIPELINE, cause=cause, decision="")
            return self._decide(entry, evidence, enough=True)

    def _cause(self, evidence: Evidence) -> str:
        """Name the reason to train now; empty when there is none."""
        if evidence.labels == 0:
            return ""
        if evidence.labels >= self.settings.trigger_labels:
            return f"{evidence.labels} new labels"
        if evidence.recent_rows > self.settings.trigger_load_rows:
            return f"load: {evidence.recent_rows} rows in {self.settings.trigger_window_s:g} s"
        with self._warehouse() as warehouse:
            moved = self.drift.moved(warehouse, self.settings.model_store_url, psi=self.settings.trigger_drift)
        return f"drift: {moved}" if moved else ""

    def _decide(self, entry: Entry, evidence: Evidence | None, *, enough: bool) -> str:
        """Start a run or not, and write that down."""
        refusal = self._blocked() or ("" if enough else "nothing new to learn from")
        if refusal or evidence is None:
            self.ledger.add(replace(entry, decision=refusal))
            return refusal
        run = self.starter.start(PIPELINE, self.parameters())
        self.ledger.add(
            replace(
                entry,
                decision=STARTED,
                run=run,
                data_version=evidence.data_version,
                due_micros=evidence.due_micros,
                outcome=RUNNING,
            )
        )
        structlog.get_logger().info("run started", run=run, cause=entry.cause)
        return STARTED

    def _blocked(self) -> str:
        """Say why no run may start now; empty if one may."""
        for entry in self.ledger.unfinished():
            self.ledger.finish(entry.run or "", self.starter.outcome(entry.run or ""))
        if run := self.starter.running(PIPELINE):
            return f"{run} goes on"
        starts = self.ledger.started(PIPELINE)
        if starts and time.time() - starts[-1].at_s < self.settings.trigger_debounce_s:
            return f"{starts[-1].run} was started less than {self.settings.trigger_debounce_s:g} s ago"
        return ""

    def _evidence(self) -> Evidence | None:
        starts, learned = self.ledger.started(PIPELINE), self.starter.learned(PIPELINE)
        had = {one.data_version for one in (*starts[-1:], learned) if one}
        known = [start.due_micros or 0 for start in starts if not start.failed]
        known += [learned.until_micros] if learned else []
        with self._warehouse() as warehouse:
            if EVENTS in warehouse.tables() and warehouse.version(EVENTS) in had:
                return None  # a run had all of this, whatever became of it
            return look(warehouse, self.settings, since_micros=max(known, default=0))

    @contextmanager
    def _warehouse(self) -> Iterator[Warehouse]:
        with closing(open_warehouse(self.settings.warehouse_url)) as warehouse:
            yield warehouse
