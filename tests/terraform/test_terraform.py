"""Terraform: formatted, linted, scanned, and rights that stay small. What needs a program is skipped where it is missing."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / "terraform"
FOLDERS = sorted({path.parent for path in ROOT.rglob("*.tf")})
TOO_MUCH = re.compile(r'"roles/(owner|editor|viewer|[a-z]+\.admin)"')


def run(program: str, *arguments: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    found = shutil.which(program)
    if not found:
        pytest.skip(f"{program} is not installed; terraform/README.md says what it checks")
    return subprocess.run([found, *arguments], cwd=folder, capture_output=True, text=True, check=False, timeout=110)


def test_every_file_is_formatted() -> None:
    done = run("terraform", "fmt", "-check", "-recursive", "-diff")

    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_linter_has_nothing_to_say(folder: Path) -> None:
    done = run("tflint", f"--config={ROOT / '.tflint.hcl'}", "--minimum-failure-severity=notice", folder=folder)

    assert (done.returncode, done.stdout) == (0, "")


def test_the_scanner_finds_nothing_but_what_is_left_out_with_a_reason() -> None:
    done = run("checkov", "--directory", ".", "--config-file", ".checkov.yaml", "--output", "json")

    assert '"failed_checks": []' in done.stdout
    assert '"passed": 0' not in done.stdout


def test_no_grant_names_a_basic_role_or_an_administrators() -> None:
    grants = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in ROOT.rglob("*.tf")
        for line in path.read_text().splitlines()
        if TOO_MUCH.search(line) and "contains([" not in line
    ]

    assert grants == []


def granted(table: str) -> dict[str, set[str]]:
    """Read a table of platform/iam.tf: at each dataset or workload, the names and roles that stand there in quotes."""
    text = (ROOT / "platform" / "iam.tf").read_text()
    (body,) = re.findall(rf"^  {table} = {{\n(.*?)^  }}", text, re.MULTILINE | re.DOTALL)
    return {
        at: set(re.findall(r'"([^"]+)"', what)) for at, what in re.findall(r"^    (\w+) += (.+)$", body, re.MULTILINE)
    }


def test_the_gateway_reads_events_for_its_features_and_no_other_dataset() -> None:
    readers, writers = granted("dataset_readers"), granted("dataset_writers")
    (askers,) = re.findall(r"job_users = {\s+for workload in \[(.+?)\]", (ROOT / "platform" / "iam.tf").read_text())

    assert {dataset for dataset, names in readers.items() if "gateway" in names} == {"telemetry"}
    assert readers.keys() <= writers.keys() == {"telemetry", "features", "models", "predictions", "serving", "privacy"}
    assert {dataset for dataset, names in writers.items() if "gateway" in names} == set()
    assert granted("project_roles")["gateway"] == {"roles/cloudtrace.agent", "roles/bigquery.readSessionUser"}
    assert '"gateway"' in askers


def test_nobody_holds_a_key_and_nothing_is_public() -> None:
    text = "\n".join(path.read_text() for path in ROOT.rglob("*.tf"))

    assert "google_service_account_key" not in text
    assert "allUsers" not in text
    assert "allAuthenticatedUsers" not in text


def test_each_environment_only_chooses_values() -> None:
    for environment in (ROOT / "environments").iterdir():
        text = "\n".join(path.read_text() for path in environment.glob("*.tf"))
        assert re.findall(r"^(resource|data|locals)\b", text, re.MULTILINE) == []
        assert re.findall(r'^module "(\w+)"', text, re.MULTILINE) == ["questline"]


def test_every_module_has_a_place_in_the_page() -> None:
    page = (ROOT / "README.md").read_text()

    assert [module.name for module in (ROOT / "modules").iterdir() if f"`modules/{module.name}`" not in page] == []


def test_every_module_has_tests_that_apply_to_a_mocked_provider() -> None:
    for module in sorted((ROOT / "modules").iterdir()):
        text = "\n".join(path.read_text() for path in (module / "tests").glob("*.tftest.hcl"))
        assert re.search(r'^mock_provider "google(-beta)?"', text, re.MULTILINE), module.name
        assert len(re.findall(r"^run \"", text, re.MULTILINE)) >= 1, module.name
        for kind, name in re.findall(r"\b(google_\w+)\.(\w+)\b", text):
            assert f'resource "{kind}" "{name}"' in (module / "main.tf").read_text(), f"{module.name}: {kind}.{name}"
