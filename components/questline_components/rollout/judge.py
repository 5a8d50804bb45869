"""Judge: watch a version while it has a share of the players."""

from kfp import dsl

from questline_components.image import component


@component()
def judge(  # noqa: PLR0913, PLR0917 - one argument for each thing that enters or leaves the step
    published: dsl.Input[dsl.Model],
    examples: dsl.Input[dsl.Dataset],
    revision: str,
    model_host: str,
    watch_s: float,
    verdict: dsl.Output[dsl.Markdown],
) -> bool:
    """Return whether it did as well as the version it is to replace, all the time; the verdict says why not."""
    from pathlib import Path

    from questline_core.models.comparing import rows_of, watch
    from questline_core.models.port import open_model_host
    from questline_core.models.rollout import read_golden
    from questline_core.spend.arrays import read_examples

    name, host, golden = published.metadata["name"], open_model_host(model_host), read_golden(published.uri)
    rows = rows_of(read_examples(Path(examples.path) / "eval.parquet").inputs, newest=10)
    against = watch(host, name, revision, golden=golden, rows=rows, for_s=watch_s)
    told = "\n".join(f"- {reason}" for reason in against) or f"{revision} did as well for {watch_s:g} s."
    Path(verdict.path).write_text(told, encoding="utf-8")
    return not against
