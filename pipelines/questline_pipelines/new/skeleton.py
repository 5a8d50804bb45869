"""Write the files of a new step or pipeline, and of its test."""

from __future__ import annotations

import re
from importlib.resources import files
from importlib.util import find_spec
from keyword import iskeyword
from pathlib import Path
from string import Template

from questline_core.errors import BadInput


def write_skeleton(kind: str, name: str, folder: Path) -> list[Path]:
    """Write NAME.py and test_NAME.py into a folder, which is made if need be, and tell their places.

    Args:
        kind: component or pipeline.
        name: of the function; dashes become underscores.
        folder: of the person's own.

    Raises:
        BadInput: the name is no name of a function or means something else in the files, or one of these is there.
    """
    name = name.replace("-", "_")
    if not (name.isidentifier() and name.isascii() and name == name.lower()) or iskeyword(name):
        raise BadInput(f"{name!r} is no name for a {kind}; use small letters, digits and underscores")
    texts = {folder / f"{name}.py": _text(kind), folder / f"test_{name}.py": _text(f"{kind}_test")}
    if find_spec(name) or any(name in _bound(text) for text in texts.values()):
        raise BadInput(f"{name!r} is the name of something that the files import or define; choose another name")
    taken = [str(path) for path in texts if path.exists()]
    if taken:
        raise BadInput(f"{' and '.join(taken)} exist already; choose another name or folder")
    words = {"name": name, "dashed": name.replace("_", "-"), "title": name.replace("_", " ").capitalize()}
    folder.mkdir(parents=True, exist_ok=True)
    for path, text in texts.items():
        path.write_text(Template(text).substitute(words), encoding="utf-8")
    return list(texts)


def _text(template: str) -> str:
    return (files(__package__) / f"{template}.txt").read_text(encoding="utf-8")


def _bound(text: str) -> list[str]:
    """List what a skeleton imports or defines."""
    return re.findall(r"\w+", " ".join(re.findall(r"^(?:from \S+ import|import|def) ([\w, ]+)", text, re.MULTILINE)))
