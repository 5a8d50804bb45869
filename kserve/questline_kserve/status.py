"""Which status an error leaves with, in both transports."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from grpc import StatusCode
from kserve.errors import InferenceError, InvalidInput, ModelNotFound, ModelNotReady, ServerNotReady

from questline_core.errors import BadInput, NotReady
from questline_kserve.model import NotServed


class Status(NamedTuple):
    """The codes of one kind of error."""

    http: int
    grpc: StatusCode


STATUS: Mapping[type[Exception], Status] = {
    BadInput: Status(400, StatusCode.INVALID_ARGUMENT),
    NotServed: Status(404, StatusCode.NOT_FOUND),
    InvalidInput: Status(400, StatusCode.INVALID_ARGUMENT),
    InferenceError: Status(400, StatusCode.INVALID_ARGUMENT),  # kserve raises it for tensors that it cannot convert
    ModelNotFound: Status(404, StatusCode.NOT_FOUND),
    NotImplementedError: Status(501, StatusCode.UNIMPLEMENTED),
    NotReady: Status(503, StatusCode.UNAVAILABLE),
    ModelNotReady: Status(503, StatusCode.UNAVAILABLE),
    ServerNotReady: Status(503, StatusCode.UNAVAILABLE),  # to a probe, while a version loads
}
UNEXPECTED = "the server failed to answer; its log says why"
"""What a client reads of an error that is not in the table."""


def status_of(error: Exception) -> Status | None:
    """Find the status of an error; None for one that nobody expected."""
    return next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), None)


def text_of(error: Exception) -> str:
    """Give the text of an error of the table."""
    return str(error) or "this is not implemented"
