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
) -> None:
    """Measure the model and the champion on the same rows; without a champion its metrics stay empty."""
    from pathlib import Path
    from shutil import copyfile

    from questline_core.spend.evaluation import evaluate

    places = {model.path: metrics.path} | ({champion: champion_metrics.path} if champion else {})
    for number, (judged, place) in enumerate(places.items()):
        evaluate(Path(judged), Path(examples.path), Path(f"{report.path}-{number}"))
        copyfile(f"{report.path}-{number}/metrics.json", place)
    copyfile(f"{report.path}-0/report.html", report.path)
    Path(champion_metrics.path).touch()
