"""Export: give a model a version in the model store."""

from kfp import dsl

from questline_components.image import component


@component()
def export(
    model: dsl.Input[dsl.Model],
    metrics: dsl.Input[dsl.Metrics],
    name: str,
    model_store: str,
    published: dsl.Output[dsl.Model],
) -> None:
    """Copy the model, its metrics and its lineage into the store under a new version."""
    from pathlib import Path

    from questline_core.models.store import publish

    # KFP keeps all numbers of an artifact's metadata as floats.
    lineage = {key: int(value) if isinstance(value, float) else value for key, value in model.metadata.items()}
    version = publish(Path(model.path), Path(metrics.path), store=model_store, name=name, lineage=lineage)
    published.uri = version.uri
    published.metadata |= {"name": version.name, "version": version.version}
