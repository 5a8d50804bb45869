"""Deploy: bring a published model version up, in the dark."""

from kfp import dsl

from questline_components.image import component


@component()
def deploy(published: dsl.Input[dsl.Model], model_host: str, warehouse: str = "") -> str:
    """Let this version answer those who name it, and nobody else, and return its revision; the first of all serves."""
    from questline_core.ledger.table import note
    from questline_core.models.manifests import spend_service
    from questline_core.models.moves import dark
    from questline_core.models.port import open_model_host
    from questline_core.models.store import load

    version = load(published.uri)
    manifest = spend_service(version.name, version.version, version.uri)
    note(warehouse, version, "deploy", dark(open_model_host(model_host), manifest))
    return version.version
