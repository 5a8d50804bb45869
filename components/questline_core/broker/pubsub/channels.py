"""Connect to Pub/Sub with the application's default credentials, or to an emulator with none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import google.auth
import grpc
import grpc.aio
from google.auth.exceptions import GoogleAuthError
from google.auth.transport.grpc import AuthMetadataPlugin
from google.auth.transport.requests import Request

from questline_core.broker.pubsub.address import GOOGLE, Address
from questline_core.errors import NotReady, QuestlineError

PASSING = frozenset(
    {
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.UNKNOWN,
    }
)
"""Failures that pass by themselves; Google's own client tries again after these."""

_SCOPE = "https://www.googleapis.com/auth/pubsub"
_OPTIONS = (
    ("grpc.max_receive_message_length", 32 << 20),
    ("grpc.max_send_message_length", 32 << 20),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.max_reconnect_backoff_ms", 2_000),
)


def connect(address: Address) -> grpc.Channel:
    """Make a channel for calls that block.

    Raises:
        NotReady: there are no credentials.
    """
    if address.endpoint:
        return grpc.insecure_channel(address.endpoint, options=_OPTIONS)
    return grpc.secure_channel(GOOGLE, _credentials(), options=_OPTIONS)


def connect_async(address: Address) -> grpc.aio.Channel:
    """Make a channel for the event loop that runs.

    Raises:
        NotReady: there are no credentials.
    """
    if address.endpoint:
        return grpc.aio.insecure_channel(address.endpoint, options=_OPTIONS)
    return grpc.aio.secure_channel(GOOGLE, _credentials(), options=_OPTIONS)


def routed(name: str, path: str) -> tuple[tuple[str, str]]:
    """Give the metadata by which Google finds the right server for a resource."""
    return (("x-goog-request-params", f"{name}={path.replace('/', '%2F')}"),)


def unary(channel: Any, method: str, answer: Any) -> Callable[..., Any]:
    """Make a call of `google.pubsub.v1`, such as `Publisher/Publish`, whose request is protobuf or its bytes."""
    return channel.unary_unary(  # type: ignore[no-any-return]
        f"/google.pubsub.v1.{method}", request_serializer=_to_bytes, response_deserializer=answer.FromString
    )


def explained(error: grpc.RpcError, what: str) -> QuestlineError:
    """Put a failure that does not pass by itself into a sentence."""
    code, details = error.code(), error.details()
    advice = {
        grpc.StatusCode.NOT_FOUND: "make it with Terraform, or for an emulator with `broker.pubsub.ensure`",
        grpc.StatusCode.PERMISSION_DENIED: "give this identity the role that Terraform's module grants",
        grpc.StatusCode.UNAUTHENTICATED: "log in with `gcloud auth application-default login`",
    }.get(code, "look at the Pub/Sub page of the project")
    return NotReady(f"Pub/Sub refused {what} ({code.name}: {details}); {advice}")


def _to_bytes(request: Any) -> bytes:
    return request if isinstance(request, bytes) else request.SerializeToString()


def _credentials() -> grpc.ChannelCredentials:
    try:
        credentials, _ = google.auth.default(scopes=[_SCOPE])
        plugin = AuthMetadataPlugin(credentials, Request())  # type: ignore[no-untyped-call]
    except GoogleAuthError as error:
        raise NotReady(
            f"Pub/Sub cannot be reached without credentials ({error}); log in with "
            "`gcloud auth application-default login`, or give the endpoint of an emulator"
        ) from None
    return grpc.composite_channel_credentials(grpc.ssl_channel_credentials(), grpc.metadata_call_credentials(plugin))
