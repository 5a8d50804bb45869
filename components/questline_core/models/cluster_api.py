"""Ask a Kubernetes API server for the few kinds of objects that a model host reads and writes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from kubernetes import client, config
from urllib3.exceptions import HTTPError

from questline_core.errors import BadInput, NotReady, QuestlineError

MANAGER = "questline"
"""Owner of the fields that server-side apply writes."""
SERVICES = "apis/serving.kserve.io/v1beta1", "inferenceservices"
DEPLOYMENTS = "apis/apps/v1", "deployments"
PODS = "api/v1", "pods"
ADDRESSES = "api/v1", "services"
AUTOSCALERS = "apis/autoscaling/v2", "horizontalpodautoscalers"
ROUTES = "apis/gateway.networking.k8s.io/v1", "httproutes"

_TIMEOUT_S = 10
_NOT_FOUND, _DENIED, _FORBIDDEN = 404, (400, 422), 403

Kind = tuple[str, str]
Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ClusterApi:
    """One namespace of one API server."""

    namespace: str
    server: client.ApiClient

    def apply(self, kind: Kind, manifest: Object) -> None:
        """Declare an object by server-side apply: fields that are not named any longer go.

        Raises:
            BadInput: the API server refuses it; the sentence is the server's.
            NotReady: the API server does not answer.
        """
        query = [("fieldManager", MANAGER), ("force", "true")]
        name = manifest["metadata"]["name"]
        self._call("PATCH", kind, name, query=query, body=manifest, content_type="application/apply-patch+yaml")

    def get(self, kind: Kind, name: str) -> Object | None:
        """Read an object; None when there is none."""
        found: Object | None = self._call("GET", kind, name)
        return found

    def find(self, kind: Kind, *, label: str = "") -> list[Object]:
        """Read all objects that have a label; a kind that the cluster does not know has none."""
        found = self._call("GET", kind, query=[("labelSelector", label)] if label else [])
        return list((found or {}).get("items", []))

    def changes(self, kind: Kind, name: str, *, for_s: int) -> Iterator[None]:
        """Tell of one object's state now, and of each change; ends after a time.

        Raises:
            NotReady: the API server does not answer, or goes away.
        """
        query = [("watch", "true"), ("timeoutSeconds", str(for_s)), ("fieldSelector", f"metadata.name={name}")]
        stream = self._call("GET", kind, query=query, timeout=(_TIMEOUT_S, for_s + _TIMEOUT_S), streamed=True)
        try:
            for data in stream.stream():
                if b"\n" in data:
                    yield
        except HTTPError as error:
            raise self._silent(error) from None
        finally:
            stream.close()

    def delete(self, kind: Kind, name: str) -> None:
        """Delete an object; one that is not there is gone already."""
        self._call("DELETE", kind, name)

    def _call(  # noqa: PLR0913 - the parts of one HTTP request
        self,
        method: str,
        kind: Kind,
        name: str = "",
        *,
        query: list[tuple[str, str]] | None = None,
        body: Object | None = None,
        content_type: str = "application/json",
        timeout: float | tuple[float, float] = _TIMEOUT_S,
        streamed: bool = False,
    ) -> Any:
        group, plural = kind
        path = f"/{group}/namespaces/{self.namespace}/{plural}" + (f"/{name}" if name else "")
        try:
            response = self.server.call_api(
                path,
                method,
                query_params=query or [],
                header_params={"Content-Type": content_type, "Accept": "application/json"},
                body=body,
                auth_settings=["BearerToken"],
                response_type="object",
                _return_http_data_only=True,
                _preload_content=not streamed,
                _request_timeout=timeout,
            )
        except client.ApiException as error:
            if error.status == _NOT_FOUND and method != "PATCH":
                return None
            raise self._told(error, f"{method} {path}") from None
        except HTTPError as error:
            raise self._silent(error) from None
        return response

    def _silent(self, error: HTTPError) -> NotReady:
        host = self.server.configuration.host
        return NotReady(f"the API server {host} does not answer ({type(error).__name__})")

    def _told(self, error: client.ApiException, what: str) -> QuestlineError:
        try:
            said = json.loads(error.body)["message"]
        except (TypeError, ValueError, KeyError):
            said = error.reason
        if error.status in _DENIED:
            return BadInput(f"the cluster refuses the InferenceService: {said}")
        if error.status == _FORBIDDEN:
            return NotReady(f"{said}; bind the role of kserve/rbac.yaml to who asks")
        return NotReady(f"{what} failed in namespace {self.namespace}: {said}")


def connect(namespace: str, context: str | None) -> ClusterApi:
    """Open one namespace of a cluster; see `client_of`."""
    return ClusterApi(namespace, client_of(context))


def client_of(context: str | None) -> client.ApiClient:
    """Connect as kubectl does or, where it has no configuration and no context is named, as a pod does.

    Raises:
        NotReady: there is neither a usable kubeconfig nor a pod's account.
    """
    settings = client.Configuration()
    try:
        config.load_kube_config(context=context, client_configuration=settings)
    except config.ConfigException as error:
        try:
            if context:
                raise
            config.load_incluster_config(client_configuration=settings)
        except config.ConfigException:
            raise NotReady(f"no cluster to talk to ({error}); set KUBECONFIG, or run inside a pod") from None
    settings.retries = False
    return client.ApiClient(settings)
