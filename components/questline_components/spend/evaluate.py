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

    from questline_core.spend.evaluation import evaluate

    own, other = Path(f"{report.path}-of-model"), Path(f"{report.path}-of-champion")
    evaluation = evaluate(Path(model.path), Path(examples.path), own)
    metrics.metadata |= asdict(evaluation.model)
    (own / "metrics.json").replace(metrics.path)
    (own / "report.html").replace(report.path)
    (own / "model_card.md").replace(card.path)
    roc = evaluation.roc
    classification.log_roc_curve(list(roc.x), list(roc.y), list(evaluation.roc_thresholds))
    classification.log_confusion_matrix(["no spend", "spend"], [list(row) for row in evaluation.confusion])
    Path(classification.path).touch()
    Path(champion_metrics.path).touch()
    if champion:
        evaluate(Path(champion), Path(examples.path), other)
        (other / "metrics.json").replace(champion_metrics.path)
