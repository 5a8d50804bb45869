"""Evaluate: judge the three models, and the one in use, on the same players, and choose the champion."""

from kfp import dsl

from questline_components.image import component


@component()
def evaluate(  # noqa: PLR0913, PLR0917 - one argument for each thing that enters or leaves the step
    warehouse: str,
    version: str,
    metrics: dsl.Output[dsl.Metrics],
    report: dsl.Output[dsl.HTML],
    classification: dsl.Output[dsl.ClassificationMetrics],
    importance: dsl.Output[dsl.Metrics],
) -> str:
    """Measure, draw and explain; the champion's curve and its errors at the threshold are artifacts of KFP too."""
    import json
    from contextlib import closing

    from questline_components.shown import draw, keep
    from questline_core.churn.evaluation import Costs
    from questline_core.churn.judging import judge
    from questline_core.churn.release import read_in_use
    from questline_core.churn.report import explanations, page_of
    from questline_core.warehouse.port import open_warehouse

    with closing(open_warehouse(warehouse)) as opened:
        judged = judge(opened, version, read_in_use(opened), Costs())
        explained = explanations(opened, judged)
    keep(metrics, judged.to_json(), judged.summary)
    keep(report, page_of(judged, explained))
    draw(classification, judged.curve, judged.confusion)
    keep(importance, json.dumps(dict(judged.importance)), judged.importance)
    return judged.champion
