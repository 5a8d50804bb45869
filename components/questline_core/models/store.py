"""The model store: STORE/MODEL/VERSION/ holds all that there is to know of one model version."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from questline_core.errors import BadInput, NotReady

_PARTS = ("saved_model", "golden.json", "training.json")
FAST = "model.onnx"
"""The model once more, in a form that answers faster."""
_EXTRAS = ("profile.json", FAST)
"""A model may come without: what the inputs looked like in training, and the fast form."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelVersion:
    """One version of a model, whole and never changed again."""

    name: str
    version: str
    """A DNS label such as v20261125-013000-3f9a: also the revision and the name of the predictor that serves it."""
    uri: str
    """The version's folder."""
    metadata: Mapping[str, Any]
    """The content of model.json: name, version, created, signature, lineage, and the SHA-256 of each file."""


def publish(model: Path, metrics: Path, *, store: str, name: str, lineage: Mapping[str, Any]) -> ModelVersion:
    """Copy a trained model into the store as a new version; readers see all of it or nothing.

    Args:
        model: the folder that training wrote: saved_model/, training.json and golden.json.
        metrics: the evaluation's metrics.json.
        store: the root of the model store.
        name: the model, such as "spend".
        lineage: what the version came from: data version, rows, seed, parameters, code version.

    Raises:
        BadInput: a part of the model is missing, or the store cannot be written.
    """
    for part in (*(model / part for part in _PARTS), metrics):
        if not part.exists():
            raise BadInput(f"{part} is missing, so there is no whole model to publish; train and evaluate it first")
    created = datetime.now(UTC)
    version = f"v{created:%Y%m%d-%H%M%S}-{digest(model)[:4]}"
    training = json.loads((model / "training.json").read_text(encoding="utf-8"))
    metadata = {
        "name": name,
        "version": version,
        "created": created.isoformat(timespec="seconds"),
        "signature": training.pop("signature"),
        "lineage": {**training, **lineage},
    }
    folder = local_folder(store) / name / version
    try:
        metadata = _write(folder, model, metrics, metadata)
    except OSError as error:
        raise BadInput(
            f"cannot write the model version {folder} ({error.strerror or error}); make the folder writable or set "
            "QUESTLINE_MODEL_STORE"
        ) from None
    return ModelVersion(name=name, version=version, uri=str(folder), metadata=metadata)


def _write(folder: Path, model: Path, metrics: Path, metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Write the version aside and rename it; return what its model.json says."""
    aside = folder.with_name(f".{folder.name}.{os.getpid()}")
    try:
        aside.mkdir(parents=True)
        shutil.copytree(model / "saved_model", aside / "saved_model")
        shutil.copyfile(model / "golden.json", aside / "golden.json")
        for name in _EXTRAS:
            if (model / name).exists():
                shutil.copyfile(model / name, aside / name)
        shutil.copyfile(metrics, aside / "metrics.json")
        told = {**metadata, "files": checksums(aside)}
        (aside / "model.json").write_text(json.dumps(told, indent=2), encoding="utf-8")
        aside.rename(folder)
        return told
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def versions(store: str, name: str) -> list[ModelVersion]:
    """List the versions of a model, oldest first."""
    folders = sorted((local_folder(store) / name).glob("v*/model.json"))
    return [load(str(path.parent)) for path in folders]


def latest(store: str, name: str) -> ModelVersion | None:
    """Find the newest version of a model; None when there is none yet."""
    found = versions(store, name)
    return found[-1] if found else None


def load(uri: str) -> ModelVersion:
    """Read what a version's folder tells of it.

    Raises:
        NotReady: there is no whole model version at this place.
    """
    folder = local_folder(uri)
    try:
        metadata = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        return ModelVersion(name=metadata["name"], version=metadata["version"], uri=str(folder), metadata=metadata)
    except (OSError, ValueError, KeyError) as error:
        raise NotReady(
            f"{folder} holds no whole model version ({type(error).__name__}: {error}); run the pipeline to publish one"
        ) from None


def local_folder(address: str) -> Path:
    """Find the folder that an address names, as a path or a file:// URL.

    Raises:
        BadInput: it is the address of something else.
    """
    scheme, marked, rest = address.partition("://")
    if marked and scheme != "file":
        raise BadInput(f"the model store {address} is not a folder; this installation reads and writes folders only")
    return Path(rest if marked else address).expanduser().resolve()


def check_files(version: ModelVersion) -> None:
    """Compare the files of a version with what model.json says of them, if it says something.

    Raises:
        NotReady: a file is missing or is another one than was published; names it.
    """
    found = checksums(Path(version.uri))
    for name, checksum in version.metadata.get("files", {}).items():
        if found.get(name) != checksum:
            what = "is not the file that was published" if name in found else "is missing"
            raise NotReady(f"{version.uri}/{name} {what}; copy the version again, or publish another")


def checksums(folder: Path) -> dict[str, str]:
    """Hash each file of a folder with SHA-256, by its path in the folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def digest(model: Path) -> str:
    """Hash the content of a model folder, names included."""
    return hashlib.sha256(json.dumps(checksums(model)).encode()).hexdigest()
