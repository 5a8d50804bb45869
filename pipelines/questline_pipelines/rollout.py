"""The roll-out of a published version as part of a pipeline: dark, compared, shown to some, judged, for all or back."""

from typing import Any

from kfp import dsl

from questline_components.rollout.compare import compare
from questline_components.rollout.deploy import deploy
from questline_components.rollout.judge import judge
from questline_components.rollout.promote import promote
from questline_components.rollout.rollback import rollback
from questline_components.rollout.shift import shift
from questline_components.rollout.verify import verify


def roll_out(  # noqa: PLR0913 - what is rolled out, where, and how carefully
    published: Any, examples: Any, *, model_host: Any, warehouse: Any, percent: int = 20, watch_s: float = 2.0
) -> None:
    """Add the steps that bring a version to all players, or back into the dark when it does worse than the one before.

    None is taken from the cache: they act on the world and look at it, and an answer of yesterday is not an answer.

    Args:
        published: the version, an output of `export`.
        examples: the newest examples, an output of `prepare`; they are asked of both versions.
        model_host: address of what serves the models.
        warehouse: address of the warehouse that holds the ledger.
        percent: first share of the players.
        watch_s: how long it is watched with this share, in seconds.
    """
    at = {"published": published, "model_host": model_host}
    noted = at | {"warehouse": warehouse}
    dark = _now(deploy(**noted))
    compared = _now(compare(**at, examples=examples, revision=dark.output))
    shifted = _now(shift(**noted, revision=dark.output, percent=percent).after(compared))
    judged = _now(judge(**at, examples=examples, revision=shifted.output, watch_s=watch_s))
    with dsl.If(judged.outputs["Output"] == True):  # noqa: E712 - an expression of KFP
        promoted = _now(promote(**noted, revision=shifted.output))
        _now(verify(**at, revision=promoted.output))
    with dsl.Else():
        _now(rollback(**noted))


def _now(task: Any) -> Any:
    return task.set_caching_options(False)
