"""The lookup's service: what is said when it does not come up."""

from __future__ import annotations

from pathlib import Path

import pytest

from questline_core.churn.serving import serve
from questline_core.errors import NotReady
from questline_core.models.folder import FolderHost, ServingFolder
from questline_core.models.port import RevisionStatus, ServiceStatus


class Waiting(FolderHost):
    """A host whose pods do not start, which a folder has none of."""

    def status(self, name: str) -> ServiceStatus:
        one = RevisionStatus(revision="lookup", stable=True, percent=100, ready=False, waits_for="the pod churn-x")
        told = {"ready": False, "revision": "", "message": "", "rest_url": "", "grpc_address": ""}
        return ServiceStatus(name=name, wanted="lookup", revisions=(one,), **told)  # type: ignore[arg-type]


def test_pods_that_do_not_start_are_not_blamed_on_the_generation(tmp_path: Path) -> None:
    with pytest.raises(NotReady, match=r"the lookup is not ready after 0\.1 s: the pod churn-x"):
        serve(Waiting(ServingFolder(tmp_path)), str(tmp_path / "lookup"), "g000001", patience_s=0.1)
