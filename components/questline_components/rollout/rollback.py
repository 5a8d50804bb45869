"""Roll back: take a version's share of the players away."""

from kfp import dsl

from questline_components.image import component


@component()
def rollback(published: dsl.Input[dsl.Model], model_host: str, warehouse: str = "") -> str:
    """Give all players back to the stable version, and return its revision."""
    from questline_core.ledger.table import note
    from questline_core.models.moves import rollback
    from questline_core.models.port import open_model_host
    from questline_core.models.store import load

    version = load(published.uri)
    status = rollback(open_model_host(model_host), version.name)
    note(warehouse, version, "rollback", status)
    return status.wanted
