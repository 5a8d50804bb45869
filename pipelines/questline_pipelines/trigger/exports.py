"""Turn a finished export of scores into the generation of the lookup that answers, once for each export."""

from __future__ import annotations

import time
from dataclasses import dataclass

import structlog

from questline_core.lookup.exported import TERMS, read_export
from questline_core.lookup.manifest import signing_key
from questline_core.lookup.publish import publish
from questline_pipelines.trigger.ledger import STARTED, Entry, Ledger
from questline_pipelines.trigger.messages import Finished
from questline_pipelines.trigger.settings import TriggerSettings
from questline_pipelines.trigger.starter import DONE


@dataclass(frozen=True, slots=True)
class Exports:
    """Publishes what is exported to buckets."""

    settings: TriggerSettings
    ledger: Ledger

    def finished(self, written: Finished | None) -> str:
        """Publish the export whose last object was written; other objects publish nothing.

        Raises:
            QuestlineError: the export cannot be read or published; nothing was decided, so that it can come again.
        """
        folder, _, name = written.name.rpartition("/") if written else ("", "", "")
        if not written or name != TERMS:
            return "not the end of an export"
        key = f"export:{written.bucket}/{written.name}#{written.generation}"
        with self.ledger.deciding():
            if self.ledger.find(key):
                return "decided already"
            batches, terms = read_export(f"{self.settings.trigger_buckets}{written.bucket}/{folder}")
            told = publish(self.settings.paths.lookup, batches, terms, key=signing_key(self.settings))
            self.ledger.add(
                Entry(
                    key=key,
                    at_s=time.time(),
                    action="lookup",
                    cause=f"export {written.bucket}/{folder}",
                    decision=STARTED,
                    run=told.generation,
                    outcome=DONE,
                )
            )
        structlog.get_logger().info("lookup published", generation=told.generation, players=told.players)
        return STARTED
