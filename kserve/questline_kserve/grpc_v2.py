"""The V2 gRPC protocol: kserve's servicer, with the same table of errors as REST and no log line for each request."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import structlog
from google.protobuf.message import DecodeError
from kserve.constants.constants import MAX_GRPC_MESSAGE_LENGTH
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb
from kserve.protocol.grpc.servicer import InferenceServicer

from questline_core.errors import BadInput
from questline_kserve.model import ServedVersion
from questline_kserve.ports import Port
from questline_kserve.repository import DeclaredOnly, Plane
from questline_kserve.status import UNEXPECTED, status_of, text_of

log = structlog.get_logger()

_SERVICE = "GRPCInferenceService"
_Method = Callable[[Any, Any], Awaitable[Any]]

OPTIONS = (
    ("grpc.max_send_message_length", MAX_GRPC_MESSAGE_LENGTH),
    ("grpc.max_receive_message_length", MAX_GRPC_MESSAGE_LENGTH),
)


class Servicer(InferenceServicer):
    """kserve's servicer, with a short way for the usual question. Answers of the one method are bytes."""

    def __init__(self, plane: Plane) -> None:
        super().__init__(plane, DeclaredOnly(plane.model_registry))
        self._models = plane.repository.models

    async def ModelInfer(self, request: bytes, context: Any) -> bytes:  # type: ignore[override] # noqa: N802 - see above
        """Answer for a model.

        Raises:
            BadInput: the bytes are no question, or the model cannot take it.
            NotServed: the request asks for a revision that is not one of those that answer.
        """
        try:
            question = pb.ModelInferRequest.FromString(request)
        except DecodeError:
            raise BadInput("the message is no ModelInferRequest") from None
        model = self._models.get(question.model_name)
        if isinstance(model, ServedVersion) and (usual := await model.answer_usual(question)) is not None:
            return usual
        answer = await super().ModelInfer(pb.ModelInferRequest.FromString(request), context)
        return answer.SerializeToString()


def _methods(servicer: Servicer) -> dict[str, grpc.RpcMethodHandler[Any, Any]]:
    """Make a handler for each method, as kserve's generated code does, but with the table of errors around it."""
    methods = {}
    for method in pb.DESCRIPTOR.services_by_name[_SERVICE].methods:
        asked = getattr(pb, method.input_type.name)
        answered = getattr(pb, method.output_type.name)
        in_bytes = method.name == "ModelInfer"
        methods[method.name] = grpc.unary_unary_rpc_method_handler(
            _refusing(getattr(servicer, method.name)),
            request_deserializer=None if in_bytes else asked.FromString,
            response_serializer=None if in_bytes else answered.SerializeToString,
        )
    return methods


def _refusing(method: _Method) -> _Method:
    """End a call whose method raised with the status of the table.

    This is no interceptor, as one costs a fourth of a call.
    """

    async def answered(request: Any, context: Any) -> Any:
        try:
            return await method(request, context)
        except Exception as error:
            if status := status_of(error):
                await context.abort(status.grpc, text_of(error))
            log.exception("call failed", method=method.__name__)
            await context.abort(grpc.StatusCode.INTERNAL, UNEXPECTED)

    return answered


@asynccontextmanager
async def grpc_server(plane: Plane, port: Port, *, grace_s: float) -> AsyncIterator[None]:
    """Answer gRPC requests on a port until the block ends, then end the requests that are under way.

    Raises:
        BadInput: the port was taken away at the last moment.
    """
    # Where one process is alone, a second server would share the port without a word.
    sharing = ("grpc.so_reuseport", int(port.shared))
    server = grpc.aio.server(options=(*OPTIONS, sharing))
    handler = grpc.method_handlers_generic_handler(f"inference.{_SERVICE}", _methods(Servicer(plane)))
    server.add_generic_rpc_handlers((handler,))
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
