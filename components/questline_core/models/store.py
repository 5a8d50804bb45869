"""The model store: STORE/MODEL/VERSION/ holds all there is to know of a model version, in a folder or a bucket."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from questline_core import places
from questline_core.durable import make_folder, settle
from questline_core.errors import BadInput, NotReady

_PARTS = ("saved_model", "golden.json", "training.json")
FAST = "model.onnx"
"""The model once more, in a form that answers faster."""
_EXTRAS = ("profile.json", FAST)
"""A model may come without: what the inputs looked like in training, and the fast form."""
_KEPT_COPIES = 8
"""So many versions of a bucket lie on this machine at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelVersion:
    """One version of a model, whole and never changed again."""

    name: str
    version: str
    """A DNS label such as v20261125-013000-3f9a: also the revision and the name of the predictor that serves it."""
    uri: str
    """The version's folder: a path, or its URL in a bucket."""
    metadata: Mapping[str, Any]
    """The content of model.json: name, version, created, signature, lineage, and the SHA-256 of each file."""

    @property
    def folder(self) -> Path:
        """The version's files on this machine; those of a bucket are copied here once, as a version never changes.

        Raises:
            NotReady: they are in a bucket that does not give them.
        """
        return Path(_copied(self.uri).name if places.is_bucket(self.uri) else self.uri)


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
    if places.is_bucket(store):
        return _into_bucket(f"{store.rstrip('/')}/{name}/{version}", model, metrics, metadata)
    return _into_folder(places.local_path(store) / name / version, model, metrics, metadata)


def _into_bucket(uri: str, model: Path, metrics: Path, metadata: Mapping[str, Any]) -> ModelVersion:
    """Copy all files, and then model.json: without it there is no version for any reader."""
    with tempfile.TemporaryDirectory() as aside:
        files, last = Path(aside, "files"), Path(aside, "last")
        told = _write(files, model, metrics, metadata)
        last.mkdir()
        (files / "model.json").rename(last / "model.json")
        places.deliver(files, uri)
        places.deliver(last, uri)
    return ModelVersion(name=told["name"], version=told["version"], uri=uri, metadata=told)


def _into_folder(folder: Path, model: Path, metrics: Path, metadata: Mapping[str, Any]) -> ModelVersion:
    """Write the version aside and rename it, durable on return."""
    aside = folder.with_name(f".{folder.name}.{os.getpid()}")
    try:
        make_folder(folder.parent)
        told = _write(aside, model, metrics, metadata)
        settle(aside, folder)
    except OSError as error:
        raise BadInput(
            f"cannot write the model version {folder} ({error.strerror or error}); make the folder writable or set "
            "QUESTLINE_MODEL_STORE"
        ) from None
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return ModelVersion(name=told["name"], version=told["version"], uri=str(folder), metadata=told)


def _write(folder: Path, model: Path, metrics: Path, metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Write all files of a version and return what its model.json says."""
    folder.mkdir(parents=True)
    shutil.copytree(model / "saved_model", folder / "saved_model")
    shutil.copyfile(model / "golden.json", folder / "golden.json")
    for name in _EXTRAS:
        if (model / name).exists():
            shutil.copyfile(model / name, folder / name)
    shutil.copyfile(metrics, folder / "metrics.json")
    told = {**metadata, "files": checksums(folder)}
    (folder / "model.json").write_text(json.dumps(told, indent=2), encoding="utf-8")
    return told


def versions(store: str, name: str) -> list[ModelVersion]:
    """List the versions of a model, oldest first."""
    return [load(uri) for uri in _uris(store, name)]


def latest(store: str, name: str) -> ModelVersion | None:
    """Find the newest version of a model; None when there is none yet."""
    found = _uris(store, name)
    return load(found[-1]) if found else None


def _uris(store: str, name: str) -> list[str]:
    root = f"{store.rstrip('/')}/{name}"
    return [f"{root}/{Path(found).parent.name}" for found in places.present(f"{root}/v*/model.json")]


def load(uri: str) -> ModelVersion:
    """Read what a version's folder tells of it.

    Raises:
        NotReady: there is no whole model version at this place.
    """
    where = uri.rstrip("/") if places.is_bucket(uri) else str(places.local_path(uri))
    try:
        metadata = json.loads(places.read(f"{where}/model.json"))
        return ModelVersion(name=metadata["name"], version=metadata["version"], uri=where, metadata=metadata)
    except (OSError, ValueError, KeyError) as error:
        raise NotReady(
            f"{where} holds no whole model version ({type(error).__name__}: {error}); run the pipeline to publish one"
        ) from None


@lru_cache(_KEPT_COPIES)
def _copied(uri: str) -> tempfile.TemporaryDirectory[str]:
    """Copy a version into a folder that goes when nobody holds it any more."""
    aside = tempfile.TemporaryDirectory(prefix="questline-model-")
    places.fetch(uri, Path(aside.name))
    return aside


def check_files(version: ModelVersion) -> None:
    """Compare the files of a version with what model.json says of them, if it says something.

    Raises:
        NotReady: a file is missing or is another one than was published; names it.
    """
    found = checksums(version.folder)
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
