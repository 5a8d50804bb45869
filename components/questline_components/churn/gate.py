"""Gate: decide whether the champion of this training scores the players, or the model in use goes on."""

from kfp import dsl

from questline_components.image import component


@component()
def gate(metrics: dsl.Input[dsl.Metrics], verdict: dsl.Output[dsl.Markdown]) -> bool:
    """Return whether the champion is taken; the verdict names the model that scores, with the reasons."""
    from dataclasses import asdict
    from pathlib import Path

    from questline_core.churn.gate import decide
    from questline_core.churn.judging import Judged

    decision = decide(Judged.from_json(Path(metrics.path).read_text(encoding="utf-8")))
    verdict.metadata["reasons"] = list(decision.reasons)
    verdict.metadata["is_new"] = decision.is_new
    if decision.model:
        verdict.metadata["model"] = asdict(decision.model)
    Path(verdict.path).write_text("\n".join(f"- {reason}" for reason in decision.reasons), encoding="utf-8")
    return decision.is_new
