"""Who may call: API keys of titles, what each may do and how much, and a record of refusals and changes."""

from questline_ingest.auth.gate import Gate, NotAllowed, RateLimited, open_gate, require_closed
from questline_ingest.auth.keys import ANYONE, Caller, Keys

__all__ = ("ANYONE", "Caller", "Gate", "Keys", "NotAllowed", "RateLimited", "open_gate", "require_closed")
