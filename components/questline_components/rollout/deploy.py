"""Deploy: let a published model version serve."""

from kfp import dsl

from questline_components.image import component


@component()
def deploy(published: dsl.Input[dsl.Model], model_host: str, warehouse: str = "") -> str:
    """Let this version answer for all, write that into the ledger of a warehouse that is named, return its revision."""
    from contextlib import closing
    from pathlib import Path

    from questline_core.ledger.table import Ledger
    from questline_core.models.manifests import spend_service
    from questline_core.models.moves import deploy
    from questline_core.models.port import open_model_host
    from questline_core.models.store import load
    from questline_core.warehouse.port import open_warehouse

    version = load(published.uri)
    manifest = spend_service(version.name, version.version, version.uri)
    status = deploy(open_model_host(model_host), manifest)
    if warehouse:
        with closing(open_warehouse(warehouse)) as opened:
            Ledger(opened, str(Path(version.uri).parents[1])).record("deploy", status)
    return status.revision
