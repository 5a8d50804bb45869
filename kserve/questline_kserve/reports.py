"""Tell for several processes what became of the manifests of a folder: ready is what all of them answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from questline_core.models.folder import ServingFolder
from questline_core.models.port import RevisionStatus, ServiceStatus


def member_folder(root: Path, number: int) -> ServingFolder:
    """Give the folder as one of several processes sees it, which reports to the one that leads them."""
    return ServingFolder(root, reports=f"status-{number}")


@dataclass(slots=True)
class Reports:
    """Puts the reports of the processes that answer together."""

    folder: ServingFolder
    _told: dict[str, tuple[ServiceStatus, str]] = field(default_factory=dict)
    """Name -> what was reported last, and of which generation of the manifest."""

    def gather(self, facts: Mapping[int, Mapping[str, Any]]) -> None:
        """Report each service about which all processes have something new to tell.

        Args:
            facts: what each process that answers tells of itself, by its number.
        """
        members = {member_folder(self.folder.root, number): one["pid"] for number, one in facts.items()}
        names = self.folder.names()
        for name in names:
            told = [folder.reported(name, by=pid) for folder, pid in members.items()]
            self._take(name, [one for one in told if one is not None], of=len(members))
        for name in self._told.keys() - set(names):
            self.folder.forget(name)
            del self._told[name]

    def _take(self, name: str, told: Sequence[tuple[ServiceStatus, str]], *, of: int) -> None:
        generations = {generation for _, generation in told}
        if not told or len(told) < of or len(generations) > 1:
            return  # some have not judged the manifest yet
        now = together([status for status, _ in told]), generations.pop()
        if self._told.get(name) != now:
            self.folder.report(now[0], generation=now[1])
            self._told[name] = now


def together(told: Sequence[ServiceStatus]) -> ServiceStatus:
    """Make one status of those of several processes about one generation: the first that is not ready says why."""
    first = next((one for one in told if not one.ready), told[0])
    return replace(
        first, revisions=tuple(_alike(alike) for alike in zip(*(one.revisions for one in told), strict=True))
    )


def _alike(told: Sequence[RevisionStatus]) -> RevisionStatus:
    return next((one for one in told if not one.ready), told[0])
