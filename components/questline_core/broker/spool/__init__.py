"""The embedded broker: SQLite databases in a folder, one for each publishing process."""

from questline_core.broker.spool.adapter import Spool, open_spool

__all__ = ("Spool", "open_spool")
