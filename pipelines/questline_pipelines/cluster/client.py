"""Ask Kubeflow Pipelines, by the API that its server has (v2beta1), for uploads, runs and schedules.

The generated classes are used and not `kfp.Client`: that one prints links, warns, keeps a file in the home of whoever
runs it, takes no tags, and cannot make a schedule of the newest version.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import kfp_server_api as api
import yaml
from urllib3.exceptions import HTTPError

from questline_components.code import code_version
from questline_core.errors import BadInput, NotReady
from questline_pipelines.cluster.fitted import compile_fitted
from questline_pipelines.settings import PipelineSettings

GOING = ("PENDING", "RUNNING", "CANCELING", "PAUSED")
DONE = "SUCCEEDED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One step of a run."""

    name: str
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunState:
    """How far a run is."""

    state: str
    """PENDING, RUNNING, SUCCEEDED, FAILED, CANCELED and so on, as Kubeflow says it."""
    error: str
    tasks: tuple[Task, ...]

    @property
    def is_final(self) -> bool:
        """Tell whether the run will not change any more."""
        return self.state not in GOING


class Kubeflow:
    """One Kubeflow Pipelines, and the namespace in it that is ours."""

    def __init__(self, settings: PipelineSettings) -> None:
        """Connect to `kfp_endpoint`, with the pod's token if there is one; nothing is asked yet.

        Raises:
            BadInput: there is no address.
        """
        if not settings.kfp_endpoint:
            raise BadInput("there is no Kubeflow Pipelines to ask; set QUESTLINE_KFP_ENDPOINT to its address")
        self._settings = settings
        configuration = api.Configuration(host=settings.kfp_endpoint.rstrip("/"))
        if settings.kfp_token.is_file():  # read anew by each process: kubelet renews it
            configuration.api_key = {"authorization": settings.kfp_token.read_text(encoding="utf-8").strip()}
            configuration.api_key_prefix = {"authorization": "Bearer"}
        client = api.ApiClient(configuration)
        self._pipelines, self._uploads = api.PipelineServiceApi(client), api.PipelineUploadServiceApi(client)
        self._runs, self._schedules = api.RunServiceApi(client), api.RecurringRunServiceApi(client)
        self._experiments = api.ExperimentServiceApi(client)

    def upload(self, pipeline: str, *, caching: bool = True) -> tuple[str, str]:
        """Put the pipeline as it is compiled here on the server, unless it is there already.

        Args:
            pipeline: its name.
            caching: whether steps may be spared; a pipeline without is another one there, PIPELINE-scheduled.

        Returns:
            Ids of the pipeline and of the version. A version is named by its content and tagged with the code it is of.
        """
        with TemporaryDirectory() as folder, self._asking():
            package = Path(folder) / "pipeline.yaml"
            compile_fitted(pipeline, package, self._settings)
            if not caching:
                pipeline = f"{pipeline}-scheduled"
                _let_every_step_run(package)
            digest = hashlib.sha256(package.read_bytes()).hexdigest()[:12]
            name, tags = f"{pipeline}-{digest}", json.dumps({"questline": version("questline"), "code": code_version()})
            held = self._pipeline_id(pipeline)
            if held is None:
                wanted = api.V2beta1Pipeline(display_name=pipeline, name=pipeline, **self._in_namespace())
                held = str(self._pipelines.pipeline_service_create_pipeline(wanted).pipeline_id)
            for one in self._versions(held):
                if name in {one.name, one.display_name}:
                    return held, str(one.pipeline_version_id)
            made = self._uploads.upload_pipeline_version(str(package), name=name, pipelineid=held, tags=tags)
            return held, str(made.pipeline_version_id)

    def submit(self, pipeline: str, parameters: Mapping[str, Any], *, name: str) -> str:
        """Start a run of the pipeline as it is here, and return the run's id."""
        held, newest = self.upload(pipeline)
        with self._asking():
            run = api.V2beta1Run(
                display_name=name,
                experiment_id=self._experiment(pipeline),
                pipeline_version_reference=api.V2beta1PipelineVersionReference(
                    pipeline_id=held, pipeline_version_id=newest
                ),
                runtime_config=api.V2beta1RuntimeConfig(parameters=dict(parameters)),
                service_account=self._settings.kfp_account or None,
            )
            return str(self._runs.run_service_create_run(run).run_id)

    def schedule(self, pipeline: str, parameters: Mapping[str, Any], *, cron: str) -> str:
        """Start runs again and again, always of the newest version, and never two at once; replaces an older schedule.

        No step is spared: Kubeflow's cache looks at parameters, which are the same in each run of a schedule.

        Args:
            pipeline: its name.
            parameters: of every run.
            cron: six fields, seconds first.

        Returns:
            Id of the schedule.
        """
        held, _ = self.upload(pipeline, caching=False)
        with self._asking():
            for old in self._recurring(pipeline):
                self._schedules.recurring_run_service_delete_recurring_run(old.recurring_run_id)
            wanted = api.V2beta1RecurringRun(
                display_name=pipeline,
                experiment_id=self._experiment(pipeline),
                # Without a version the newest one at the time of each run is meant.
                pipeline_version_reference=api.V2beta1PipelineVersionReference(pipeline_id=held),
                runtime_config=api.V2beta1RuntimeConfig(parameters=dict(parameters)),
                service_account=self._settings.kfp_account or None,
                trigger=api.V2beta1Trigger(cron_schedule=api.V2beta1CronSchedule(cron=cron)),
                max_concurrency="1",
                no_catchup=True,
                mode="ENABLE",
            )
            return str(self._schedules.recurring_run_service_create_recurring_run(wanted).recurring_run_id)

    def running(self, pipeline: str) -> str:
        """Give the id of a run of the pipeline that goes on; empty when there is none."""
        with self._asking():
            found = self._runs.run_service_list_runs(
                experiment_id=self._experiment(pipeline), sort_by="created_at desc", page_size=50
            )
        return next((str(run.run_id) for run in found.runs or () if run.state in GOING), "")

    def state(self, run_id: str) -> RunState:
        """Tell how far a run is."""
        with self._asking():
            run = self._runs.run_service_get_run(run_id)
        details = run.run_details.task_details if run.run_details else None
        return RunState(
            state=run.state or "PENDING",
            error=run.error.message or "" if run.error else "",
            tasks=tuple(Task(name=one.display_name or "", state=one.state or "PENDING") for one in details or ()),
        )

    def spec(self, pipeline: str) -> Mapping[str, Any] | None:
        """Give the newest version's specification; None when the pipeline is not there."""
        with self._asking():
            held = self._pipeline_id(pipeline)
            found = self._versions(held) if held else []
        return found[0].pipeline_spec if found else None

    def _versions(self, pipeline_id: str) -> list[Any]:
        found = self._pipelines.pipeline_service_list_pipeline_versions(
            pipeline_id, sort_by="created_at desc", page_size=100
        )
        return list(found.pipeline_versions or ())

    def _pipeline_id(self, pipeline: str) -> str | None:
        found = self._pipelines.pipeline_service_list_pipelines(filter=_named(pipeline), **self._in_namespace())
        return str(found.pipelines[0].pipeline_id) if found.pipelines else None

    def _recurring(self, pipeline: str) -> list[Any]:
        found = self._schedules.recurring_run_service_list_recurring_runs(
            experiment_id=self._experiment(pipeline), page_size=100
        )
        return [one for one in found.recurring_runs or () if one.display_name == pipeline]

    def _experiment(self, pipeline: str) -> str:
        """Find the experiment that holds the pipeline's runs, made if need be."""
        name = f"questline-{pipeline}"
        found = self._experiments.experiment_service_list_experiments(filter=_named(name), **self._in_namespace())
        if found.experiments:
            return str(found.experiments[0].experiment_id)
        wanted = api.V2beta1Experiment(display_name=name, namespace=self._settings.kfp_namespace or None)
        return str(self._experiments.experiment_service_create_experiment(wanted).experiment_id)

    def _in_namespace(self) -> dict[str, str]:
        return {"namespace": self._settings.kfp_namespace} if self._settings.kfp_namespace else {}

    @contextmanager
    def _asking(self) -> Iterator[None]:
        where = self._settings.kfp_endpoint
        try:
            yield
        except api.ApiException as error:
            raise NotReady(f"Kubeflow Pipelines at {where} answers {error.status}: {_reason(error)}") from None
        except HTTPError as error:
            raise NotReady(f"Kubeflow Pipelines at {where} does not answer ({error})") from None


def _let_every_step_run(package: Path) -> None:
    """Take the leave to use the cache from all steps of a compiled pipeline."""
    documents = list(yaml.safe_load_all(package.read_text(encoding="utf-8")))
    graphs = [documents[0]["root"], *documents[0]["components"].values()]
    for graph in graphs:
        for task in graph.get("dag", {}).get("tasks", {}).values():
            task["cachingOptions"] = {}
    package.write_text(yaml.safe_dump_all(documents), encoding="utf-8")


def _named(name: str) -> str:
    return json.dumps({"predicates": [{"operation": "EQUALS", "key": "display_name", "string_value": name}]})


def _reason(error: Any) -> str:
    try:
        return str(json.loads(error.body)["error"])
    except (TypeError, ValueError, KeyError):
        return str(error.reason)
