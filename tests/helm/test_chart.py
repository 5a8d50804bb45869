"""The chart: what it renders is bounded, unprivileged and closed, and what cannot work is refused with a sentence."""

import shutil
import subprocess
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
import yaml

from questline_core.models.manifests import LOOKUP, lookup_service
from questline_pipelines.trigger.settings import TriggerSettings

ROOT = Path(__file__).parents[2]
CHART = ROOT / "helm" / "questline"
CLOUD = ("--set=addresses.broker=pubsub:game/events", "--set=addresses.warehouse=bigquery:game/EU")
IDENTITY = "iam.gke.io/gcp-service-account"
LOAD = "--set=load.enabled=true"
PRESETS = {"laptop": (LOAD,), "autopilot": (LOAD, *CLOUD), "production": CLOUD}
EVERYTHING = ("--set=monitoring.podMonitoring=true", "--set=monitoring.dashboards=true")


def helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = shutil.which("helm")
    if not program:
        pytest.skip("helm is not installed: nothing can be rendered")
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=False, timeout=60)


def template(*values: str) -> subprocess.CompletedProcess[str]:
    return helm("template", "game", str(CHART), "--namespace=questline", "--kube-version=1.34.4", *values)


@pytest.fixture(scope="module", params=PRESETS)
def objects(request: pytest.FixtureRequest) -> list[dict[str, Any]]:
    preset = request.param
    done = template(f"--values={CHART}/values-{preset}.yaml", *PRESETS[preset], *EVERYTHING)
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def pods(objects: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    for made in objects:
        if made["kind"] in {"Deployment", "Job"}:
            yield made["metadata"]["name"], made["spec"]["template"]["spec"]
        elif made["kind"] == "Pod":
            yield made["metadata"]["name"], made["spec"]


def containers(objects: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, pod in pods(objects):
        yield from ((name, container) for container in pod["containers"])
    for runtime in (made for made in objects if made["kind"] == "ServingRuntime"):
        yield from (("runtime", container) for container in runtime["spec"]["containers"])


def test_the_linter_has_nothing_to_say() -> None:
    done = helm("lint", "--strict", str(CHART), f"--values={CHART}/values-laptop.yaml")

    assert done.returncode == 0, done.stdout


def test_no_container_is_root_or_writes_to_its_image(objects: list[dict[str, Any]]) -> None:
    for name, container in containers(objects):
        security = container["securityContext"]
        assert security["readOnlyRootFilesystem"], name
        assert security["allowPrivilegeEscalation"] is False, name
        assert security["capabilities"] == {"drop": ["ALL"]}, name
    for name, pod in pods(objects):
        assert pod["securityContext"]["runAsNonRoot"], name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name


def test_every_container_says_what_it_needs_and_no_image_is_latest(objects: list[dict[str, Any]]) -> None:
    for name, container in containers(objects):
        assert {"cpu", "memory"} <= container["resources"]["requests"].keys(), name
        assert "memory" in container["resources"]["limits"], name
        assert ":latest" not in container["image"], name
        assert ":" in container["image"], name


def test_rights_name_what_they_allow(objects: list[dict[str, Any]]) -> None:
    roles = [made for made in objects if made["kind"] == "Role"]

    assert [made["kind"] for made in objects if made["kind"].startswith("ClusterRole")] == []
    assert roles
    for rule in (rule for role in roles for rule in role["rules"]):
        assert "*" not in rule["verbs"] + rule["resources"] + rule["apiGroups"]
        assert "secrets" not in rule["resources"]


def test_roles_allow_what_those_for_kserve_allow(objects: list[dict[str, Any]]) -> None:
    told = {made["metadata"]["name"]: made["rules"] for made in objects if made["kind"] == "Role"}
    by_hand = yaml.safe_load_all((ROOT / "kserve" / "rbac.yaml").read_text())
    wanted = {made["metadata"]["name"]: made["rules"] for made in by_hand if made["kind"] == "Role"}

    assert told == {"game-look": wanted["questline-watch"], "game-roll-out": wanted["questline-rollout"]}


def test_the_runtime_is_the_one_for_kserve_but_for_image_size_and_place(objects: list[dict[str, Any]]) -> None:
    (told,) = (made["spec"] for made in objects if made["kind"] == "ServingRuntime")
    wanted = yaml.safe_load((ROOT / "kserve" / "runtime.yaml").read_text())["spec"]
    for spec in (told, wanted):
        spec.pop("affinity", None)
        for name in ("image", "imagePullPolicy", "resources"):
            spec["containers"][0].pop(name, None)
    (processes,) = (one for one in told["containers"][0]["env"] if one["name"] == "QUESTLINE_SERVING_PROCESSES")
    assert processes["value"] in {"1", "2"}
    processes["value"] = "1"

    assert told == wanted


def test_only_pods_that_ask_the_api_server_hold_a_token_for_it(objects: list[dict[str, Any]]) -> None:
    assert all(made["automountServiceAccountToken"] is False for made in objects if made["kind"] == "ServiceAccount")
    with_token = {name for name, pod in pods(objects) if pod.get("automountServiceAccountToken")}
    assert with_token == {"game-gateway", "game-trigger"}


def test_nothing_goes_in_or_out_that_is_not_named(objects: list[dict[str, Any]]) -> None:
    policies = {made["metadata"]["name"]: made["spec"] for made in objects if made["kind"] == "NetworkPolicy"}
    deny = policies["game-deny"]

    assert deny["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in deny
    assert [port["port"] for rule in deny["egress"] for port in rule["ports"]] == [53, 53]


def test_who_writes_features_never_has_the_process_id_of_who_reads_them(objects: list[dict[str, Any]]) -> None:
    """LMDB locks by process id, and what a container starts has the id 1 unless the pod shares its processes."""
    made = dict(pods(objects))
    writer = "game-stream" if "game-stream" in made else "game-gateway"

    assert [name for name, pod in made.items() if pod.get("shareProcessNamespace")] == [writer]


def gateway_pod(*values: str) -> dict[str, Any]:
    done = template(*values)
    assert done.returncode == 0, done.stderr
    return dict(pods([made for made in yaml.safe_load_all(done.stdout) if made]))["game-gateway"]


@pytest.mark.parametrize("preset", ["autopilot", "production"])
def test_with_the_stream_elsewhere_each_gateway_has_its_features_written_beside_it(preset: str) -> None:
    gateway, features = gateway_pod(f"--values={CHART}/values-{preset}.yaml", *CLOUD)["containers"]
    told = {one["name"]: one["value"] for one in features["env"]}

    assert features["image"] == gateway["image"]
    assert features["args"] == ["follow", "--every=300"]
    assert told["QUESTLINE_WAREHOUSE"] == "bigquery:game/EU"
    assert told.items() <= {one["name"]: one.get("value") for one in gateway["env"]}.items()
    assert {"name": "home", "mountPath": told["QUESTLINE_HOME"]} in features["volumeMounts"]
    assert all(mount in gateway["volumeMounts"] for mount in features["volumeMounts"])
    assert features["resources"]["requests"]["memory"] == features["resources"]["limits"]["memory"]
    assert "readinessProbe" not in features, "a gateway answers without features too"


def test_how_often_features_are_written_is_a_value() -> None:
    _, features = gateway_pod(*CLOUD, "--set=gateway.features.everySeconds=900")["containers"]

    assert features["args"] == ["follow", "--every=900"]


@pytest.mark.parametrize(
    "values", [(*CLOUD, "--set=gateway.features.enabled=false"), (f"--values={CHART}/values-laptop.yaml",)]
)
def test_nothing_follows_where_it_is_turned_off_or_the_stream_writes_to_the_same_volume(
    values: tuple[str, ...],
) -> None:
    pod = gateway_pod(*values)

    assert [container["name"] for container in pod["containers"]] == ["gateway"]
    assert "shareProcessNamespace" not in pod


def test_google_and_its_tokens_are_reached_by_those_who_ask_it() -> None:
    """Also where the API server's addresses are named, which opens port 443 for nothing else."""
    done = template(*CLOUD, "--set=networkPolicy.apiServer={10.0.0.2/32}")
    made = {d["metadata"]["name"]: d["spec"] for d in yaml.safe_load_all(done.stdout) if d and "spec" in d}
    apis, tokens = made["game-google"]["egress"]

    assert made["game-google"]["podSelector"]["matchExpressions"][0]["values"] == ["gateway", "trigger"]
    assert apis == {"ports": [{"protocol": "TCP", "port": 443}]}
    assert tokens["to"] == [{"ipBlock": {"cidr": "169.254.169.254/32"}}]
    assert "game-google" not in template(f"--values={CHART}/values-laptop.yaml").stdout


def test_the_load_test_ends() -> None:
    rendered = yaml.safe_load_all(template(LOAD, *CLOUD).stdout)
    (job,) = (made["spec"] for made in rendered if made and made["kind"] == "Job")

    assert job["backoffLimit"] == 0
    assert job["activeDeadlineSeconds"] == 180 + 120
    assert job["template"]["spec"]["restartPolicy"] == "Never"


def test_scaling_watches_the_deployment_beside_it(objects: list[dict[str, Any]]) -> None:
    deployments = {made["metadata"]["name"]: made for made in objects if made["kind"] == "Deployment"}
    for scaler in (made for made in objects if made["kind"] == "HorizontalPodAutoscaler"):
        target = deployments[scaler["spec"]["scaleTargetRef"]["name"]]
        assert scaler["metadata"].get("namespace") == target["metadata"].get("namespace")
        assert "replicas" not in target["spec"], "the scaler and the chart would fight over the number of pods"
        (watched,) = (metric["containerResource"] for metric in scaler["spec"]["metrics"])
        named = {one["name"]: one for one in target["spec"]["template"]["spec"]["containers"]}
        assert watched["name"] in named[watched["container"]]["resources"]["requests"]


def test_what_pods_of_models_need_outlives_the_release_as_they_do(objects: list[dict[str, Any]]) -> None:
    notes = {(d["kind"], d["metadata"]["name"]): d["metadata"].get("annotations", {}) for d in objects}
    kept = {one for one, told in notes.items() if told.get("helm.sh/resource-policy") == "keep"}

    assert kept - {("PersistentVolumeClaim", "game-home")} == {
        ("ServiceAccount", "serving"),
        ("ServingRuntime", "questline"),
    }


def test_an_upgrade_leaves_alone_what_pipelines_rolled_out() -> None:
    first = "serving.first.spend"
    done = template(
        f"--values={CHART}/values-laptop.yaml",
        f"--set={first}.revision=v1,{first}.format=questline,{first}.storageUri=pvc://models/spend/v1",
    )
    (service,) = (d for d in yaml.safe_load_all(done.stdout) if d and d["kind"] == "InferenceService")

    assert service["metadata"]["annotations"]["helm.sh/hook"] == "post-install"
    assert service["spec"]["predictor"]["name"] == "v1"


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ((), "telemetry would be lost with the pods"),
        (("--set=stream.enabled=true", *CLOUD), "needs storage.enabled=true"),
        (("--set=storage.enabled=true", "--set=gateway.autoscaling.enabled=false"), "set gateway.replicas=1"),
        (("--set=storage.enabled=true", "--set=gateway.replicas=1"), "gateway.autoscaling.enabled=false"),
        (("--set=gateway.autoscaling.minReplicas=21", *CLOUD), "minReplicas=21 is above maxReplicas=20"),
        (("--set=storage.enabled=true", "--set=gateway.replicas=1", *CLOUD), "nothing uses the volume"),
        (("--set=gateway.replica=2", *CLOUD), "replica"),
        (("--set=images.tag=latest", *CLOUD), "latest"),
        (("--set=images.gateway.digest=abc", *CLOUD), "digest"),
        (("--set=gateway.env.PATH=/bin", *CLOUD), "at '/gateway/env': additional properties 'PATH'"),
        (("--set=gateway.env.QUESTLINE_LISTEN=0.0.0.0:1", *CLOUD), "gateway.env.QUESTLINE_LISTEN is set by the chart"),
        (("--set=trigger.env.QUESTLINE_HOME=/other", *CLOUD), "trigger.env.QUESTLINE_HOME is set by the chart"),
        ((LOAD, "--set=gateway.keys.existingSecret=k", *CLOUD), "load.enabled sends in the clear and without a key"),
        (("--set=gateway.processes=0", *CLOUD), "processes"),
        (("--set=gateway.features.everySeconds=0", *CLOUD), "everySeconds"),
        (("--set=serving.processes=65", *CLOUD), "processes"),
        (("--set=load.seconds=0", *CLOUD), "seconds"),
        (
            ("--set=gateway.keys.existingSecret=k,monitoring.podMonitoring=true", *CLOUD),
            "keys create operators --admin",
        ),
        (("--set=gateway.tls.existingSecret=t", *CLOUD), "set gateway.keys.existingSecret"),
    ],
)
def test_values_that_cannot_work_are_refused(values: tuple[str, ...], sentence: str) -> None:
    done = template(*values)

    assert done.returncode != 0
    assert sentence in done.stderr


def test_the_pods_of_a_digest_run_that_image() -> None:
    digest = "sha256:" + "a" * 64
    done = template(*CLOUD, "--set=images.repository=images.example.com/game", f"--set=images.gateway.digest={digest}")

    assert f"image: images.example.com/game/gateway@{digest}" in done.stdout


def test_a_pod_runs_as_many_processes_as_it_is_told() -> None:
    done = template(*CLOUD, "--set=gateway.processes=4,serving.processes=2")
    told = {
        (name, one["name"]): one["value"]
        for name, container in containers([made for made in yaml.safe_load_all(done.stdout) if made])
        for one in container.get("env", [])
        if one["name"].endswith("PROCESSES")
    }

    assert told == {("game-gateway", "QUESTLINE_PROCESSES"): "4", ("runtime", "QUESTLINE_SERVING_PROCESSES"): "2"}


def test_no_setting_of_a_container_is_named_twice(objects: list[dict[str, Any]]) -> None:
    for name, container in containers(objects):
        told = [one["name"] for one in container.get("env", [])]
        assert sorted(told) == sorted(set(told)), name


def test_the_gateway_asks_both_models_where_kserve_serves_them() -> None:
    gateway, _ = gateway_pod(*CLOUD)["containers"]
    told = {one["name"]: one.get("value") for one in gateway["env"]}
    lookup = lookup_service("churn", LOOKUP, "pvc://lookup/churn")
    service = f"{lookup['metadata']['name']}-{lookup['spec']['predictor']['name']}-predictor"

    assert told["QUESTLINE_SPEND_ADDRESS"] == "kserve:questline"
    assert told["QUESTLINE_CHURN_ADDRESS"] == f"{service}.questline:8081"


def test_models_are_served_as_an_account_that_the_chart_makes(objects: list[dict[str, Any]]) -> None:
    accounts = {made["metadata"]["name"] for made in objects if made["kind"] == "ServiceAccount"}
    (trigger,) = (container for name, container in containers(objects) if name == "game-trigger")
    (host,) = (one["value"] for one in trigger["env"] if one["name"] == "QUESTLINE_MODEL_HOST")

    assert host.startswith("kserve:questline?")
    assert dict(parse_qsl(host.partition("?")[2]))["account"] in accounts


def test_the_values_of_the_walk_through_make_a_chart_whose_trigger_trains_elsewhere_and_takes_pushes(
    tmp_path: Path,
) -> None:
    page = (ROOT / "docs" / "install.md").read_text()
    mine = tmp_path / "mine.yaml"
    mine.write_text(textwrap.dedent(page.partition("`mine.yaml`:\n")[2].partition("\n   and install:")[0]))
    done = template(f"--values={CHART}/values-autopilot.yaml", f"--values={mine}")
    made = [document for document in yaml.safe_load_all(done.stdout) if document]
    (trigger,) = (container for name, container in containers(made) if name == "game-trigger")
    tied = {one["metadata"]["name"] for one in made if one["metadata"].get("annotations", {}).keys() & {IDENTITY}}

    assert done.returncode == 0, done.stderr
    assert tied == {"gateway", "serving", "trigger", "pipeline"}
    settings = TriggerSettings.model_fields.keys()
    told = {one["name"].removeprefix("QUESTLINE_").lower() for one in trigger["env"] if one["name"] != "LOGNAME"}
    assert {"kfp_endpoint", "kfp_image", "trigger_audience", "trigger_account"} <= told <= settings


def test_the_charts_own_test_is_there_where_it_needs_no_key(objects: list[dict[str, Any]]) -> None:
    closed = any(volume["name"] == "keys" for volume in dict(pods(objects))["game-gateway"]["volumes"])

    assert ("game-test" in dict(pods(objects))) is not closed


def test_production_demands_keys_and_encryption(objects: list[dict[str, Any]]) -> None:
    done = template(f"--values={CHART}/values-production.yaml", *CLOUD)
    (gateway,) = (
        d
        for d in yaml.safe_load_all(done.stdout)
        if d and d["metadata"]["name"] == "game-gateway" and d["kind"] == "Deployment"
    )
    secrets = {v["secret"]["secretName"] for v in gateway["spec"]["template"]["spec"]["volumes"] if "secret" in v}

    assert secrets == {"gateway-tls", "gateway-keys"}


def test_prometheus_and_probes_come_in_where_only_admin_keys_and_tls_do() -> None:
    done = template(f"--values={CHART}/values-production.yaml", *CLOUD, "--set=monitoring.serviceMonitor=true")
    made = {(d["kind"], d["metadata"]["name"]): d["spec"] for d in yaml.safe_load_all(done.stdout) if d and "spec" in d}
    (google,), (operator,) = (
        made["PodMonitoring", "game-gateway"]["endpoints"],
        made["PodMonitor", "game-gateway"]["podMetricsEndpoints"],
    )
    gateway, _ = made["Deployment", "game-gateway"]["template"]["spec"]["containers"]
    secret = {"name": "gateway-admin-key", "key": "key"}

    assert google["authorization"] == {"type": "Bearer", "credentials": {"secret": secret}}
    assert operator["authorization"] == {"type": "Bearer", "credentials": secret}
    assert {google["scheme"], operator["scheme"]} == {"https"}
    assert {gateway[probe]["httpGet"]["scheme"] for probe in ("startupProbe", "readinessProbe", "livenessProbe")} == {
        "HTTPS"
    }
    assert "authorization" not in made["PodMonitoring", "game-serving"]["endpoints"][0]


def test_traces_get_out_to_the_collector_where_one_is_named() -> None:
    laptop = f"--values={CHART}/values-laptop.yaml"
    made = [d for d in yaml.safe_load_all(template(laptop, "--set=addresses.otlp=http://tempo.seen:4317").stdout) if d]
    told = {
        name
        for name, container in containers(made)
        if {"name": "OTEL_EXPORTER_OTLP_ENDPOINT", "value": "http://tempo.seen:4317"} in container.get("env", [])
    }
    (policy,) = (d["spec"] for d in made if d["metadata"]["name"] == "game-traces")

    assert {"game-gateway", "game-stream"} <= told
    assert policy["egress"] == [{"ports": [{"protocol": "TCP", "port": 4317}]}]
    assert "game-traces" not in template(laptop).stdout


@pytest.mark.parametrize(
    ("endpoint", "port"),
    [("http://ml-pipeline.kubeflow:8888", 8888), ("https://kfp.seen:444/pipeline", 444), ("https://kfp.seen", 443)],
)
def test_a_trigger_gets_out_to_the_kubeflow_that_it_is_told_of(endpoint: str, port: int) -> None:
    """Also where the API server's addresses are named, which opens port 443 for nothing else."""
    laptop = (f"--values={CHART}/values-laptop.yaml", "--set=networkPolicy.apiServer={10.0.0.2/32}")
    told, silent = (
        {
            d["metadata"]["name"]: d["spec"]
            for d in yaml.safe_load_all(template(*laptop, *more).stdout)
            if d and d["kind"] == "NetworkPolicy"
        }
        for more in ((f"--set=trigger.env.QUESTLINE_KFP_ENDPOINT={endpoint}",), ())
    )

    out = silent["game-trigger"]["egress"]
    assert told["game-trigger"]["egress"] == [*out, {"ports": [{"protocol": "TCP", "port": port}]}]
    assert told["game-gateway"] == silent["game-gateway"]
