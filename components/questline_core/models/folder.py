"""The embedded model host: a folder of InferenceService manifests that the serving process on this machine obeys.

`inferenceservices/NAME.yaml` says what is wanted, `status/NAME.json` what the serving process made of it. Both sides of
this agreement are here: `FolderHost` for those who declare, `ServingFolder` for the process that obeys.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from questline_core.errors import BadInput, NotReady
from questline_core.models.canary import declared
from questline_core.models.manifests import check_label, from_yaml, service_of, to_yaml
from questline_core.models.port import Manifest, RevisionStatus, ServiceStatus
from questline_core.processes import announced, read_ready, write_atomically

_OCCUPANT = "process"
"""Name under which the process that obeys a folder announces itself there."""

_LOOK_EVERY_S = 0.5
"""Who follows a folder reads it this often."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """One manifest as it lies in the folder."""

    name: str
    text: str
    generation: str
    """Changes whenever the manifest is written, with other or with the same text."""


@dataclass(frozen=True, slots=True)
class ServingFolder:
    """The folder as the serving process sees it: reads what is declared, writes what became of it."""

    root: Path
    reports: str = "status"
    """Folder in it that holds what became of each manifest: one of several processes reports aside."""

    @property
    def manifests(self) -> Path:
        """The folder of what is declared."""
        return self.root / "inferenceservices"

    def prepare(self) -> None:
        """Make the folder of manifests, so that it can be watched.

        Raises:
            BadInput: it cannot be written.
        """
        try:
            self.manifests.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BadInput(f"cannot make {self.manifests} ({error.strerror}); set QUESTLINE_HOME to a folder") from None

    def names(self) -> list[str]:
        """Name what is declared, sorted."""
        return sorted(path.stem for path in self.manifests.glob("[!.]*.yaml"))

    def declaration(self, name: str) -> Declaration | None:
        """Read one manifest; None when there is none.

        Raises:
            BadInput: the file is there and cannot be read as text.
        """
        path = self.manifests / f"{name}.yaml"
        try:
            with path.open("rb") as file:
                content, written_ns = file.read(), os.fstat(file.fileno()).st_mtime_ns
            text = content.decode()
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise BadInput(f"{path} cannot be read: {error}") from None
        return Declaration(name=name, text=text, generation=f"{written_ns}-{hashlib.sha256(content).hexdigest()[:16]}")

    @contextmanager
    def occupied(self) -> Iterator[None]:
        """Say that the calling process obeys this folder, until the block ends or the process dies.

        Raises:
            BadInput: the folder cannot be written.
        """
        with announced(self.root, _OCCUPANT):
            yield

    def occupant(self) -> int | None:
        """Tell the pid of the living process that obeys this folder."""
        facts = read_ready(self.root, _OCCUPANT)
        return facts["pid"] if facts else None

    def report(self, status: ServiceStatus, *, generation: str) -> None:
        """Say what became of this generation of a manifest, for as long as the calling process lives."""
        facts = {**asdict(status), "generation": generation, "pid": os.getpid()}
        write_atomically(self._status(status.name), json.dumps(facts))

    def reported(self, name: str, *, by: int | None = None) -> tuple[ServiceStatus, str] | None:
        """Read what a process reported, and of which generation; None when it said nothing yet.

        Args:
            name: of the manifest.
            by: pid of the process; None for the one that obeys now.
        """
        try:
            facts: dict[str, Any] = json.loads(self._status(name).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        if facts["pid"] != (by or self.occupant()):
            return None
        told = {field.name: facts[field.name] for field in fields(ServiceStatus)}
        told["revisions"] = tuple(RevisionStatus(**one) for one in facts["revisions"])
        return ServiceStatus(**told), facts["generation"]

    def forget(self, name: str) -> None:
        """Take back the report about a name that is not declared or not served any longer."""
        self._status(name).unlink(missing_ok=True)

    def _status(self, name: str) -> Path:
        return self.root / self.reports / f"{name}.json"


class FolderHost:
    """A `ModelHost` for one machine. `ready` means that the wanted revision is the one that answers."""

    def __init__(self, folder: ServingFolder) -> None:
        self._folder = folder

    def apply(self, manifest: Manifest) -> None:
        """Write the manifest in one step; the serving process notices it.

        Raises:
            BadInput: the manifest is not a usable InferenceService, or the folder cannot be written.
        """
        name = declared(manifest)[0].service.name
        write_atomically(self._folder.manifests / f"{name}.yaml", to_yaml(manifest))

    def manifest(self, name: str) -> Manifest | None:
        """Give what is declared under this name; None when nothing is."""
        found = self._folder.declaration(check_label("the service's name", name))
        return from_yaml(found.text) if found else None

    def status(self, name: str) -> ServiceStatus:
        """Tell what answers under this name now; the message stays empty while the wanted revision is being loaded.

        Raises:
            NotReady: nothing of this name was applied.
        """
        found = self._folder.declaration(check_label("the service's name", name))
        if found is None:
            raise NotReady(f"no InferenceService {name!r} lies in {self._folder.manifests}; apply one first")
        last, generation = self._folder.reported(name) or (None, "")
        return last if last and generation == found.generation else self._unreported(found, last)

    def follow(self, name: str) -> Iterator[ServiceStatus]:
        """Look at the folder twice a second.

        Raises:
            NotReady: nothing of this name was applied.
        """
        while True:
            yield self.status(name)
            time.sleep(_LOOK_EVERY_S)

    def services(self) -> list[str]:
        """Name all InferenceServices, sorted."""
        return self._folder.names()

    def _unreported(self, found: Declaration, last: ServiceStatus | None) -> ServiceStatus:
        """Tell what is known of a manifest that the serving process has not judged yet."""
        before = last or ServiceStatus(
            name=found.name, ready=False, revision="", wanted="", message="", rest_url="", grpc_address=""
        )
        nobody = f"no serving process obeys {self._folder.root}; start one with `questline serving run`"
        return replace(
            before,
            ready=False,
            wanted=_wanted(found.text),
            message=nobody if self._folder.occupant() is None else "",
        )


def open_folder(root: str) -> FolderHost:
    """Open the host over a folder, which need not exist yet."""
    return FolderHost(ServingFolder(Path(root)))


def _wanted(text: str) -> str:
    try:
        return service_of(from_yaml(text)).revision
    except BadInput:
        return ""
