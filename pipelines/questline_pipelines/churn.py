"""The churn pipeline: from the events of a warehouse to scores that are served, in BigQuery ML's statements.

Its steps speak to the warehouse through our port and not through the operators of google-cloud-pipeline-components. The
operators know BigQuery alone, so the laptop's pipeline would be another one than the cluster's, and its SQL would be
tried in the cloud only. Behind the port the same steps run on both, and BigQuery still does the work there.

Nothing is cached: the steps work on tables, which another run may have replaced.
"""

from kfp import dsl

from questline_components.churn.deploy import deploy
from questline_components.churn.evaluate import evaluate
from questline_components.churn.export_csv import export_csv
from questline_components.churn.gate import gate
from questline_components.churn.predict import predict
from questline_components.churn.prepare import prepare
from questline_components.churn.publish import publish
from questline_components.churn.train import train
from questline_components.churn.validate import validate
from questline_components.churn.verify import verify


@dsl.pipeline(name="churn")
def churn_scoring(  # noqa: PLR0913, PLR0917 - a run is told where everything is
    warehouse: str,
    model_host: str,
    lookup: str,
    csv: str,
    lookup_uri: str = "",
    grace_hours: int = 144,
    seen_days: int = 30,
) -> None:
    """Train three models, choose the best, hold it against the one in use, and publish everybody's score.

    Args:
        warehouse: address of the warehouse that holds the events.
        model_host: address of what serves the lookup.
        lookup: folder of the lookup's generations, as the steps see it.
        csv: folder or gs://BUCKET/FOLDER of the CSV files; BigQuery exports to buckets only.
        lookup_uri: the same folder as the serving process sees it, such as pvc://questline-lookup/churn; empty where
            both see the same.
        grace_hours: how long after the first 24 hours a player may still come back before the label is due.
        seen_days: who was seen within these days is scored.
    """
    made = prepare(warehouse=warehouse, grace_hours=grace_hours, seen_days=seen_days).set_caching_options(False)
    players, version = made.outputs["players"], made.outputs["Output"]
    valid = validate(warehouse=warehouse, players=players).set_caching_options(False)
    trained = [
        train(warehouse=warehouse, kind=kind, version=version)
        .set_caching_options(False)
        .set_display_name(f"train {kind}")
        .after(valid)
        for kind in ("logistic", "trees", "network")
    ]
    judged = evaluate(warehouse=warehouse, version=version).set_caching_options(False).after(*trained)
    verdict = gate(metrics=judged.outputs["metrics"]).set_caching_options(False)
    # A champion that is refused changes the model and not the day's work: everybody is scored in any case.
    predicted = predict(
        warehouse=warehouse, version=version, players=players, verdict=verdict.outputs["verdict"]
    ).set_caching_options(False)
    scores = predicted.outputs["scores"]
    export_csv(warehouse=warehouse, scores=scores, csv=csv).set_caching_options(False)
    published = publish(scores=scores, lookup=lookup).set_caching_options(False)
    served = deploy(
        generation=published.output, lookup=lookup, lookup_uri=lookup_uri, model_host=model_host
    ).set_caching_options(False)
    verify(scores=scores, generation=served.output, model_host=model_host).set_caching_options(False)
