"""The house itself: rooms are source roots, nothing hides a library, and the budgets of the code hold."""

import ast
import importlib.metadata
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("components", "pipelines", "ingest", "beam", "kserve")
LONGEST_FILE, LONGEST_FUNCTION = 400, 50


def modules() -> Iterator[Path]:
    for room in ROOMS:
        yield from (path for path in (ROOT / room).rglob("*.py") if path.parent.name != "pb")


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


@pytest.mark.parametrize("room", [*ROOMS, "tests"])
def test_a_room_is_a_source_root_and_not_a_package(room: str) -> None:
    assert (ROOT / room).is_dir()
    assert not (ROOT / room / "__init__.py").exists()


def test_no_folder_of_tests_is_a_package() -> None:
    assert list((ROOT / "tests").rglob("__init__.py")) == []


def test_kserve_comes_from_its_distribution_even_in_the_root() -> None:
    where = subprocess.run(
        [sys.executable, "-c", "import importlib.util as u; print(u.find_spec('kserve').origin)"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    installed = importlib.metadata.distribution("kserve").locate_file("kserve/__init__.py")
    assert where.strip() == str(installed)


def test_every_module_starts_with_its_one_job() -> None:
    assert [str(p.relative_to(ROOT)) for p in modules() if not ast.get_docstring(ast.parse(p.read_text()))] == []


def test_no_file_and_no_function_is_longer_than_its_budget() -> None:
    files = [f"{p.relative_to(ROOT)}" for p in modules() if p.read_text().count("\n") > LONGEST_FILE]
    long = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for path in modules()
        for node in functions(ast.parse(path.read_text()))
        # The options of a command are its interface: what counts is what it does with them.
        if (node.end_lineno or 0) - node.body[0].lineno >= LONGEST_FUNCTION
    ]
    assert (files, long) == ([], [])


def test_the_top_of_the_kernel_knows_no_subject() -> None:
    top = ROOT / "components" / "questline_core"
    knowing = [
        p.name for p in top.glob("*.py") if re.search(r"questline_core(\.| import )(spend|churn)\b", p.read_text())
    ]
    assert knowing == []


TOUCHES_ENVIRONMENT = {
    "components/questline_core/grpc_polling.py": "sets what gRPC reads while it is imported",
    "components/questline_core/models/fast.py": "sets what ONNX Runtime reads while it is imported",
    "components/questline_core/stack/children.py": "hands it to the processes that it starts",
    "components/questline_core/stack/supervisor.py": "hands it to the processes that it starts",
    "kserve/questline_kserve/tensorflow.py": "sets what TensorFlow reads while it is imported",
    "kserve/questline_kserve/testing/process.py": "hands it to the process under test",
    "pipelines/questline_pipelines/runs.py": "hands it to the process that runs a pipeline",
}


def test_nothing_reads_the_environment_but_the_settings() -> None:
    touching = {
        str(path.relative_to(ROOT)) for path in modules() if re.search(r"os\.(environ|getenv)", path.read_text())
    }
    assert touching == TOUCHES_ENVIRONMENT.keys()


def test_the_gateway_installs_without_tensorflow_and_beam() -> None:
    lock = tomllib.loads((ROOT / "uv.lock").read_text())
    packages = {package["name"]: package for package in lock["package"]}
    wanted = [packages["questline"]["dependencies"], packages["questline"]["optional-dependencies"]["ingest"]]
    todo, needed = [dependency["name"] for group in wanted for dependency in group], set[str]()
    while todo:
        name = todo.pop()
        if name not in needed:
            needed.add(name)
            todo += [dependency["name"] for dependency in packages[name].get("dependencies", [])]

    assert "grpcio" in needed
    assert needed.isdisjoint({"tensorflow-cpu", "apache-beam", "kserve", "kfp", "pandas"})
