"""Traps of a project on Google Cloud: services that are off, and rights that are missing where they will be needed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from questline_core.doctor.findings import Finding, bad, good
from questline_core.errors import NotReady

SERVICES = (
    "artifactregistry",
    "bigquery",
    "cloudbuild",
    "compute",
    "container",
    "dataflow",
    "monitoring",
    "pubsub",
    "storage",
)
"""Without `.googleapis.com`. Terraform's platform turns them on."""
RIGHTS = {
    "pubsub.topics.publish": "publish events: roles/pubsub.publisher",
    "bigquery.jobs.create": "ask the warehouse: roles/bigquery.jobUser",
    "bigquery.tables.updateData": "write rows: roles/bigquery.dataEditor on the datasets",
    "storage.objects.create": "publish models: roles/storage.objectUser on the bucket",
    "dataflow.jobs.create": "start the stream: roles/dataflow.developer",
    "container.clusters.get": "reach the cluster: roles/container.clusterViewer",
}
USAGE, RESOURCES = "https://serviceusage.googleapis.com", "https://cloudresourcemanager.googleapis.com"
_TIMEOUT_S = 15


def connect() -> Any:
    """Open a session with the credentials that Google's libraries find here.

    Raises:
        NotReady: there are none.
    """
    import google.auth  # noqa: PLC0415 - only who looks at a project has it
    from google.auth.exceptions import DefaultCredentialsError  # noqa: PLC0415 - as above
    from google.auth.transport.requests import AuthorizedSession  # noqa: PLC0415 - as above

    try:
        credentials, _ = google.auth.default(scopes=["https://www.googleapis.com/auth/cloud-platform"])
    except DefaultCredentialsError:
        raise NotReady("there are no credentials for Google Cloud; run gcloud auth application-default login") from None
    return AuthorizedSession(credentials)  # type: ignore[no-untyped-call]


def examine_project(session: Any, project: str, *, usage: str = USAGE, resources: str = RESOURCES) -> Iterator[Finding]:
    """Look at a project as whoever asks: what is off, and which rights are missing.

    Rights that are given on a topic, dataset or bucket alone do not show here.

    Args:
        session: of requests, with credentials.
        project: its id.
        usage: address of the Service Usage API.
        resources: address of the Resource Manager API.

    Raises:
        NotReady: Google does not answer, or does not let this be asked.
    """
    names = [("names", f"projects/{project}/services/{name}.googleapis.com") for name in SERVICES]
    told = _ask(session.get, f"{usage}/v1/projects/{project}/services:batchGet", params=names)["services"]
    off = sorted(one["name"].rpartition("/")[2] for one in told if one.get("state") != "ENABLED")
    yield (
        bad("services", f"off: {', '.join(off)}", f"gcloud services enable {' '.join(off)} --project {project}")
        if off
        else good("services", f"all {len(SERVICES)} are on")
    )
    asked = {"permissions": list(RIGHTS)}
    held = _ask(session.post, f"{resources}/v1/projects/{project}:testIamPermissions", json=asked)
    for right, meaning in RIGHTS.items():
        if right in held.get("permissions", ()):
            yield good("rights", right)
        else:
            yield bad("rights", f"{right} is missing in the project", f"to {meaning}, or on what it is needed for")


def _ask(method: Any, url: str, **arguments: Any) -> dict[str, Any]:
    try:
        answer = method(url, timeout=_TIMEOUT_S, **arguments)
        told: dict[str, Any] = answer.json()
    except OSError as error:  # requests' own errors are ones, and so is a body that is no JSON
        raise NotReady(f"{url} does not answer ({error})") from None
    if not answer.ok:
        raise NotReady(f"{url} answers {answer.status_code}: {told.get('error', {}).get('message', 'no reason')}")
    return told
