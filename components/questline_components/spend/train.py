"""Train: fit the spend model."""

from kfp import dsl

from questline_components.image import component


@component()
def train(
    examples: dsl.Input[dsl.Dataset],
    epochs: int,
    seed: int,
    model: dsl.Output[dsl.Model],
    settings: dict[str, float] = {},  # noqa: B006 - KFP reads it, and calls in another process
) -> None:
    """Fit propensity, value and interval, and save them with their preprocessing as one SavedModel."""
    from pathlib import Path

    from questline_components.code import code_version
    from questline_core.monitoring.training import write_profile
    from questline_core.spend.search import Settings
    from questline_core.spend.training import train

    train(Path(examples.path), Path(model.path), epochs=epochs, seed=seed, settings=Settings.of(settings))
    write_profile(Path(model.path), Path(examples.path))
    model.metadata |= examples.metadata | {"epochs": epochs, "seed": seed, "code_version": code_version()}
