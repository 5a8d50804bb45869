"""Evaluate: judge a spend model, and the one that it would replace, on days that neither was fitted to."""

from kfp import dsl

from questline_components.image import component


@component()
def evaluate(  # noqa: PLR0913, PLR0917 - one argument for each thing that enters or leaves the step
    examples: dsl.Input[dsl.Dataset],
    model: dsl.Input[dsl.Model],
    champion: str,
    metrics: dsl.Output[dsl.Metrics],
    champion_metrics: dsl.Output[dsl.Metrics],
    report: dsl.Output[dsl.HTML],
    classification: dsl.Output[dsl.ClassificationMetrics],
    card: dsl.Output[dsl.Markdown],
) -> None:
    """Measure the model and the champion on the same rows; without a champion its metrics stay empty."""
    from dataclasses import asdict
    from pathlib import Path

    from questline_components.shown import draw, keep
    from questline_core.models.store import load
    from questline_core.spend.evaluation import evaluate

    own = Path(f"{report.path}-of-model")
    judged = evaluate(Path(model.path), Path(examples.path), own)
    keep(metrics, own / "metrics.json", asdict(judged.model))
    keep(report, own / "report.html")
    keep(card, own / "model_card.md")
    confusion = dict(zip(("no spend", "spend"), judged.confusion, strict=True))
    draw(classification, (judged.roc.x, judged.roc.y, judged.roc_thresholds), confusion)
    other = evaluate(load(champion).folder, Path(examples.path), own / "champion") if champion else None
    keep(champion_metrics, other.to_json() if other else "")
