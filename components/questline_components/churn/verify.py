"""Verify: what serves answers with the scores that were published."""

from kfp import dsl

from questline_components.image import component


@component()
def verify(scores: dsl.Input[dsl.Dataset], generation: str, model_host: str) -> int:
    """Ask for some players and for one whom nobody knows, and return how many answers were compared."""
    import pyarrow as pa

    from questline_core.churn.serving import verify
    from questline_core.lookup.exported import read_export
    from questline_core.models.port import open_model_host

    batches, terms = read_export(scores.path)
    return verify(open_model_host(model_host), pa.Table.from_batches(batches), terms, generation)
