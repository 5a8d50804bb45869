"""Deploy: let the lookup be served, and wait until the new generation answers."""

from questline_components.image import component


@component()
def deploy(generation: str, lookup: str, lookup_uri: str, model_host: str) -> str:
    """Declare the InferenceService of the lookup if need be, and return the generation that answers."""
    from questline_core.churn.serving import serve
    from questline_core.models.port import open_model_host

    return serve(open_model_host(model_host), lookup_uri or lookup, generation)
