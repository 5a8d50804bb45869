"""Models as files: DATASET/MODEL.model/VERSION/ appears in one step, and `current` names the version in use."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from questline_core.durable import make_folder, put_in_place, settle
from questline_core.errors import BadInput

_KEPT = 10
"""Versions that stay on disk; older ones are removed when a new one comes."""


class ModelStore:
    """A folder of models, beside the warehouse's tables or anywhere else."""

    def __init__(self, folder: Path) -> None:
        self._root = folder

    def names(self) -> list[str]:
        """Name all models as DATASET.MODEL, sorted."""
        found = self._root.glob("*/*.model/current")
        return sorted(f"{path.parent.parent.name}.{path.parent.name.removesuffix('.model')}" for path in found)

    def has(self, name: str) -> bool:
        """Tell whether there is such a model."""
        return (self._folder(name) / "current").exists()

    def current(self, name: str) -> Path:
        """Give the folder of the version in use.

        Raises:
            BadInput: there is no such model.
        """
        folder = self._folder(name)
        try:
            return folder / (folder / "current").read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            known = self.names()
            others = f"; the models are {', '.join(known)}" if known else "; there are no models yet"
            raise BadInput(f"there is no model {name}{others}") from None

    def versions(self, name: str) -> Sequence[str]:
        """Name the versions on disk, oldest first."""
        return sorted(path.name for path in self._folder(name).glob("v*"))

    def put(self, name: str, write: Callable[[Path], Mapping[str, Any]]) -> Path:
        """Add a version and put it in use: `write` fills a folder and gives the facts for its model.json.

        Raises:
            BadInput: a table has this name.
        """
        folder = self._folder(name)
        if folder.with_suffix("").exists():
            raise BadInput(f"there is a table {name}; give the model another name")
        version = f"v{datetime.now(UTC):%Y%m%dT%H%M%S%f}"
        aside = folder / f".{version}.{os.getpid()}"
        make_folder(aside)
        try:
            facts = {"name": name, "version": version, **write(aside)}
            (aside / "model.json").write_text(json.dumps(facts, indent=1), encoding="utf-8")
            settle(aside, folder / version)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
        put_in_place(folder / "current", version.encode())
        for old in self.versions(name)[:-_KEPT]:
            shutil.rmtree(folder / old, ignore_errors=True)
        return folder / version

    def drop(self, name: str) -> None:
        """Remove a model with all its versions."""
        folder = self._folder(name)
        (folder / "current").unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)

    def _folder(self, name: str) -> Path:
        dataset, _, model = name.partition(".")
        return self._root / dataset / f"{model}.model"


def model_name(path: str, place: str) -> str:
    """Bring `project.dataset.model` into the form DATASET.MODEL.

    Raises:
        BadInput: a part is missing or holds something else than letters, digits and _.
    """
    parts = path.split(".")
    if len(parts) not in (2, 3) or not all(part.replace("_", "a").isalnum() for part in parts[-2:]):
        raise BadInput(f"{place}: {path!r} is no name of a model; write DATASET.MODEL with letters, digits and _")
    return ".".join(parts[-2:])
