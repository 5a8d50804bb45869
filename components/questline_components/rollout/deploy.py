"""Deploy: let a published model version serve."""

from kfp import dsl

from questline_components.image import component


@component()
def deploy(published: dsl.Input[dsl.Model], model_host: str) -> str:
    """Declare the InferenceService of this version, wait until it answers and return its revision."""
    from questline_core.models.manifests import spend_service
    from questline_core.models.moves import deploy
    from questline_core.models.port import open_model_host
    from questline_core.models.store import load

    version = load(published.uri)
    manifest = spend_service(version.name, version.version, version.uri)
    return deploy(open_model_host(model_host), manifest).revision
