"""Load on a gateway as players make it, and what became of every call: see `questline load`."""
