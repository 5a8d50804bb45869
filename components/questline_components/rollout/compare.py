"""Compare: hold a version in the dark against the one that serves."""

from kfp import dsl

from questline_components.image import component


@component()
def compare(
    published: dsl.Input[dsl.Model],
    examples: dsl.Input[dsl.Dataset],
    revision: str,
    model_host: str,
    comparison: dsl.Output[dsl.Artifact],
) -> int:
    """Ask golden requests and the newest examples, write how far the two are apart, and return the number of rows."""
    from pathlib import Path

    from questline_core.models.comparing import compare, rows_of
    from questline_core.models.port import open_model_host
    from questline_core.models.rollout import read_golden
    from questline_core.spend.arrays import read_examples

    golden = read_golden(published.uri)
    rows = rows_of(read_examples(Path(examples.path) / "eval.parquet").inputs, newest=100)
    name, host = published.metadata["name"], open_model_host(model_host)
    found = compare(host, name, revision, golden=golden, rows=rows, slices=["operating_system", "country"])
    Path(comparison.path).write_text(found.to_json(), encoding="utf-8")
    found.check()
    return len(rows)
