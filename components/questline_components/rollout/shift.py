"""Shift: give a version a share of the players."""

from kfp import dsl

from questline_components.image import component


@component()
def shift(published: dsl.Input[dsl.Model], revision: str, percent: int, model_host: str, warehouse: str = "") -> str:
    """Let a version that answers in the dark have so many percent of the players, and return its revision."""
    from questline_core.ledger.table import note
    from questline_core.models.moves import expose
    from questline_core.models.port import open_model_host
    from questline_core.models.store import load

    version = load(published.uri)
    note(warehouse, version, "shift", expose(open_model_host(model_host), version.name, revision, percent))
    return revision
