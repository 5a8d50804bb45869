"""Write a README for each folder of steps, from the signatures and docstrings of the steps: `make generate`."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from typing import Any

ROOT = Path(str(files("questline_components")))


def main() -> None:
    """Write all of them."""
    for folder in folders():
        (folder / "README.md").write_text(page(folder), encoding="utf-8")


def folders() -> list[Path]:
    """List the folders that hold steps."""
    return sorted({path.parent for path in ROOT.glob("*/*.py") if path.name != "__init__.py"})


def page(folder: Path) -> str:
    """Make the README of one folder of steps."""
    names = sorted(path.stem for path in folder.glob("*.py") if path.name != "__init__.py")
    sections = (part for name in names for part in _section(folder.name, name))
    return "\n".join([f"# Steps of {folder.name}", "", "Written by `make generate` from the steps.", *sections, ""])


def _section(group: str, name: str) -> Iterator[str]:
    module = import_module(f"questline_components.{group}.{name}")
    step = getattr(module, name)
    yield from ("", f"## {name}", "", str(step.python_func.__doc__).strip(), "")
    yield from ("| | name | type | default |", "|---|---|---|---|")
    for kind, told in (("takes", step.component_spec.inputs), ("gives", step.component_spec.outputs)):
        for one, spec in (told or {}).items():
            name_told = "its return value" if (kind, one) == ("gives", "Output") else f"`{one}`"
            yield f"| {kind} | {name_told} | {_type(spec)} | {_default(spec)} |"
    yield from ("", f"From [{name}.py]({name}.py): {str(module.__doc__).partition(': ')[2].strip()}")


_TYPES = {"String": "str", "Integer": "int", "Float": "float", "Boolean": "bool", "Dict": "dict", "List": "list"}


def _type(spec: Any) -> str:
    """Name the type as Python has it; an artifact's is registered as `system.Dataset@0.0.1`."""
    name = str(spec.type).removeprefix("system.").partition("@")[0].partition("[")[0]
    return f"list of {name}" if spec.is_artifact_list else _TYPES.get(name, name)


def _default(spec: Any) -> str:
    return f"`{spec.default!r}`" if getattr(spec, "optional", False) else ""


if __name__ == "__main__":
    main()
