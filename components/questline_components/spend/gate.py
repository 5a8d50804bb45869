"""Gate: decide whether a judged spend model may serve, and say why."""

from kfp import dsl

from questline_components.image import component


@component()
def gate(
    metrics: dsl.Input[dsl.Metrics],
    champion_metrics: dsl.Input[dsl.Metrics],
    verdict: dsl.Output[dsl.Markdown],
    strict: bool = False,
    override: str = "",
) -> bool:
    """Return whether to ship; the verdict lists the reasons, for and against, and who overrode them and why."""
    from pathlib import Path

    from questline_core.spend.evaluation import Evaluation
    from questline_core.spend.gate import judge, read_evaluation

    candidate = Evaluation.from_json(Path(metrics.path).read_text(encoding="utf-8"))
    decision = judge(candidate, read_evaluation(Path(champion_metrics.path)), strict=strict, override=override)
    verdict.metadata["reasons"] = list(decision.reasons)
    Path(verdict.path).write_text("\n".join(f"- {reason}" for reason in decision.reasons), encoding="utf-8")
    return decision.ship
