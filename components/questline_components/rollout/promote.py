"""Promote: let a version answer for all players."""

from kfp import dsl

from questline_components.image import component


@component()
def promote(published: dsl.Input[dsl.Model], revision: str, model_host: str, warehouse: str = "") -> str:
    """Make a version that answers the stable one, keep the one before warm, and return the revision."""
    from questline_core.ledger.table import note
    from questline_core.models.moves import promote
    from questline_core.models.port import open_model_host
    from questline_core.models.store import load

    version = load(published.uri)
    note(warehouse, version, "promote", promote(open_model_host(model_host), version.name, revision))
    return revision
