"""The V2 gRPC protocol: kserve's servicer, with the same table of errors as REST and no log line for each request."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NoReturn

import grpc
import structlog
from grpc_interceptor import AsyncExceptionToStatusInterceptor
from kserve.constants.constants import MAX_GRPC_MESSAGE_LENGTH
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import add_GRPCInferenceServiceServicer_to_server
from kserve.protocol.grpc.servicer import InferenceServicer

from questline_kserve.model import ServedVersion
from questline_kserve.ports import Port
from questline_kserve.repository import DeclaredOnly, Plane
from questline_kserve.status import UNEXPECTED, status_of, text_of

log = structlog.get_logger()

OPTIONS = (
    ("grpc.max_send_message_length", MAX_GRPC_MESSAGE_LENGTH),
    ("grpc.max_receive_message_length", MAX_GRPC_MESSAGE_LENGTH),
)


class Errors(AsyncExceptionToStatusInterceptor):
    """Ends a call whose handler raised with the status of the table."""

    async def handle_exception(
        self,
        ex: Exception,
        request_or_iterator: Any,  # noqa: ARG002 - the framework's signature
        context: grpc.aio.ServicerContext[Any, Any],
        method_name: str,
    ) -> NoReturn:
        """Abort the call; an error outside the table is logged and leaves with a neutral text."""
        if status := status_of(ex):
            await context.abort(status.grpc, text_of(ex))
        log.error("call failed", method=method_name, exc_info=ex)
        await context.abort(grpc.StatusCode.INTERNAL, UNEXPECTED)


class Servicer(InferenceServicer):
    """kserve's servicer, with a short way for the usual question."""

    def __init__(self, plane: Plane) -> None:
        super().__init__(plane, DeclaredOnly(plane.model_registry))
        self._models = plane.repository.models

    async def ModelInfer(  # noqa: N802 - the protocol's name
        self, request: pb.ModelInferRequest, context: Any
    ) -> pb.ModelInferResponse:
        """Answer for a model.

        Raises:
            NotServed: the request asks for a revision that is not one of those that answer.
        """
        model = self._models.get(request.model_name)
        usual = await model.answer_usual(request) if isinstance(model, ServedVersion) else None
        return usual or await super().ModelInfer(request, context)


@asynccontextmanager
async def grpc_server(plane: Plane, port: Port, *, grace_s: float) -> AsyncIterator[None]:
    """Answer gRPC requests on a port until the block ends, then end the requests that are under way.

    Raises:
        BadInput: the port was taken away at the last moment.
    """
    # Where one process is alone, a second server would share the port without a word.
    sharing = ("grpc.so_reuseport", int(port.shared))
    server = grpc.aio.server(interceptors=[Errors()], options=(*OPTIONS, sharing))
    add_GRPCInferenceServiceServicer_to_server(Servicer(plane), server)
    port.taken.close()  # gRPC opens its ports itself
    try:
        server.add_insecure_port(port.address)
    except RuntimeError:
        raise port.refused("in use") from None
    await server.start()
    try:
        yield
    finally:
        await server.stop(grace_s)
