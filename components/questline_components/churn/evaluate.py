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
    from pathlib import Path

    from questline_core.churn.evaluation import Costs
    from questline_core.churn.judging import judge
    from questline_core.churn.release import read_in_use
    from questline_core.churn.report import explanations, page
    from questline_core.warehouse.port import open_warehouse

    with closing(open_warehouse(warehouse)) as opened:
        judged = judge(opened, version, read_in_use(opened), Costs())
        explained = explanations(opened, judged)
    Path(metrics.path).write_text(judged.to_json(), encoding="utf-8")
    metrics.metadata |= {f"{kind}_roc_auc": one.roc_auc.value for kind, one in judged.models.items()}
    metrics.metadata |= {"champion": judged.champion, "threshold": judged.best.threshold}
    Path(report.path).write_text(page(judged, explained), encoding="utf-8")
    curve, errors = judged.curves[judged.champion], judged.best.at_threshold
    # The probability falls from one end of the curve to the other; its value at a point is not kept.
    falling = [1 - number / (len(curve.x) - 1) for number in range(len(curve.x))]
    classification.log_roc_curve(list(curve.x), list(curve.y), falling)
    stayed, left = [errors.true_negatives, errors.false_positives], [errors.false_negatives, errors.true_positives]
    classification.log_confusion_matrix(["stayed", "left"], [stayed, left])
    Path(classification.path).touch()
    importance.metadata |= judged.importance
    Path(importance.path).write_text(json.dumps(dict(judged.importance)), encoding="utf-8")
    return judged.champion
