"""Verify: what serves answers as the model did in training."""

from kfp import dsl

from questline_components.image import component


@component()
def verify(published: dsl.Input[dsl.Model], revision: str, model_host: str) -> int:
    """Ask the served revision the golden requests of its training and return how many answers were compared."""
    from questline_core.models.port import open_model_host
    from questline_core.models.rollout import read_golden, verify

    name = published.metadata["name"]
    status = open_model_host(model_host).status(name)
    return verify(read_golden(published.uri), rest_url=status.rest_url, name=name, revision=revision)
