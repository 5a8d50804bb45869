"""Publish: let the scores answer, as a new generation of the lookup."""

from kfp import dsl

from questline_components.image import component


@component()
def publish(scores: dsl.Input[dsl.Dataset], lookup: str) -> str:
    """Write, sign and switch to a generation of these scores and return its name."""
    from pathlib import Path

    from questline_core.lookup.exported import read_export
    from questline_core.lookup.manifest import signing_key
    from questline_core.lookup.publish import publish
    from questline_core.settings import PlatformSettings

    batches, terms = read_export(scores.path)
    return publish(Path(lookup), batches, terms, key=signing_key(PlatformSettings.read())).generation
