"""A pipeline with the shape of the spend pipeline and steps that take no time, to try the running of pipelines."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from questline_pipelines.events import StepEvent
from questline_pipelines.record import Run
from questline_pipelines.runs import Watch, run_here
from questline_pipelines.turns import turn

TOY = '''
"""The spend pipeline's shape, without its work."""

from kfp import dsl

from questline_components.image import component


@component()
def prepare(data_version: str, fail: str, examples: dsl.Output[dsl.Dataset]) -> None:
    from pathlib import Path

    from questline_core.errors import BadInput

    if fail == "sentence":
        raise BadInput("there are no events yet;\\nsend some first")
    if fail == "error":
        raise ValueError("no such column")
    if fail == "silent":
        import os

        os._exit(9)
    if fail == "hang":
        import time

        Path(data_version).touch()
        time.sleep(600)
    Path(examples.path).write_text(data_version)
    examples.metadata |= {"data_version": data_version, "rows": 3}


@component()
def train(examples: dsl.Input[dsl.Dataset], model: dsl.Output[dsl.Model]) -> None:
    from pathlib import Path

    print("fitting")
    Path(model.path).mkdir()
    model.metadata |= examples.metadata


@component()
def evaluate(
    model: dsl.Input[dsl.Model],
    metrics: dsl.Output[dsl.Metrics],
    report: dsl.Output[dsl.HTML],
    card: dsl.Output[dsl.Markdown],
) -> None:
    from pathlib import Path

    Path(card.path).write_text("# Toy model")
    Path(metrics.path).write_text('{"model": {"error": 1.5}, "curve": {"x": [0, 1]}, "draws": [1, 2]}')
    Path(report.path).write_text("<p>good</p>")


@component()
def gate(metrics: dsl.Input[dsl.Metrics], ship: bool, verdict: dsl.Output[dsl.Markdown]) -> bool:
    from pathlib import Path

    verdict.metadata["reasons"] = ["it beats the constant" if ship else "it does not beat the constant"]
    Path(verdict.path).touch()
    return ship


@component()
def export(model: dsl.Input[dsl.Model], store: str, published: dsl.Output[dsl.Model]) -> None:
    from pathlib import Path

    Path(store).mkdir(exist_ok=True)
    published.uri = store


@component()
def deploy(published: dsl.Input[dsl.Model]) -> str:
    return "v1"


@component()
def verify(revision: str) -> int:
    return 2


@dsl.pipeline(name="toy")
def toy(data_version: str, store: str, ship: bool = True, fail: str = "") -> None:
    examples = prepare(data_version=data_version, fail=fail).outputs["examples"]
    model = train(examples=examples).outputs["model"]
    judged = evaluate(model=model).outputs
    verdict = gate(metrics=judged["metrics"], ship=ship)
    with dsl.If(verdict.outputs["Output"] == True):
        published = export(model=model, store=store).outputs["published"]
        served = deploy(published=published).set_caching_options(False)
        verify(revision=served.output).set_caching_options(False)
'''

RunToy = Callable[..., Run]


@pytest.fixture(scope="module")
def run_toy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunToy]:
    modules = tmp_path_factory.mktemp("modules")
    (modules / "toy_pipeline.py").write_text(TOY)

    def run(folder: Path, watch: Watch = lambda _: None, **parameters: Any) -> Run:
        given = {"data_version": "1", "store": str(folder / "store")} | parameters
        with turn(folder, "toy") as name:
            return run_here(name, given, function="toy_pipeline:toy", folder=folder, watch=watch)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(modules))
        yield run


@pytest.fixture(scope="module")
def earlier(run_toy: RunToy, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Run, list[StepEvent]]:
    """The folder of pipelines, the record and the events of one run that went well."""
    folder, told = tmp_path_factory.mktemp("pipelines"), list[StepEvent]()
    return folder, run_toy(folder, told.append), told
