"""The spend pipeline: this function is its diagram, on a cluster and on a laptop."""

from kfp import dsl

from questline_components.rollout.export import export
from questline_components.spend.evaluate import evaluate
from questline_components.spend.gate import gate
from questline_components.spend.pick import pick
from questline_components.spend.prepare import prepare
from questline_components.spend.train import train
from questline_components.spend.validate import validate
from questline_pipelines.rollout import roll_out

QUIET = {"name": "TF_CPP_MIN_LOG_LEVEL", "value": "2"}
"""TensorFlow says what went wrong, and not which instructions its build lacks."""


@dsl.pipeline(name="spend-training", description="Train, judge and roll out the spend model.")
def spend_training(  # noqa: PLR0913, PLR0917 - a run is told everything, so that equal arguments mean an equal result
    warehouse: str,
    model_store: str,
    model_host: str,
    data_version: str,
    champion: str = "",
    horizon_hours: int = 24,
    holdout_days: int = 7,
    epochs: int = 20,
    seed: int = 1,
    settings: list[dict[str, float]] = [{}],  # noqa: B006 - KFP reads it, and calls nothing
    strict: bool = False,
    override: str = "",
) -> None:
    """Turn the events of one version of the data into a served, verified revision, if it deserves to serve.

    Args:
        warehouse: address of the warehouse that holds the events.
        model_store: root of the model store.
        model_host: address of what serves the models.
        data_version: version of the events' table; new data means new examples, old data means none.
        champion: folder of the published model to beat; empty when there is none.
        horizon_hours: how far ahead spend is predicted.
        holdout_days: last days of the data, which judge the model and never train it.
        epochs: how often training goes through the examples.
        seed: of everything that is random in training.
        settings: of the network, each is tried; {} are the usual ones.
        strict: whether the model has to beat every rival beyond doubt, and not only be as good.
        override: who ships the model whatever the gate finds, and takes data unlike the last, and why; empty when
            nobody does.
    """
    examples = prepare(
        warehouse=warehouse, data_version=data_version, horizon_hours=horizon_hours, holdout_days=holdout_days
    ).outputs["examples"]
    sound = validate(examples=examples, champion=champion, override=override)
    with dsl.ParallelFor(settings, parallelism=2) as one:
        tried = train(examples=examples, settings=one, epochs=epochs, seed=seed).set_env_variable(**QUIET).after(sound)
    model = pick(tried=dsl.Collected(tried.outputs["model"])).outputs["model"]
    judged = evaluate(examples=examples, model=model, champion=champion).set_env_variable(**QUIET).outputs
    verdict = gate(
        metrics=judged["metrics"], champion_metrics=judged["champion_metrics"], strict=strict, override=override
    )
    # kfp.local 2.17 finds a step's only return value in a condition, and takes a named one for false.
    with dsl.If(verdict.outputs["Output"] == True):  # noqa: E712 - an expression of KFP
        published = export(model=model, metrics=judged["metrics"], name="spend", model_store=model_store).outputs[
            "published"
        ]
        roll_out(published, examples, model_host=model_host, warehouse=warehouse)
