"""The V1 and V2 REST protocols on one port: kserve's routes, with one table of errors."""

from __future__ import annotations

import asyncio
import socket
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import uvicorn
from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import FastAPIDeprecationWarning, RequestValidationError
from fastapi.responses import JSONResponse, Response
from kserve.protocol.rest.server import metrics_handler
from kserve.protocol.rest.v1_endpoints import register_v1_endpoints
from kserve.protocol.rest.v2_datamodels import InferenceRequest, InferenceResponse
from kserve.protocol.rest.v2_endpoints import register_v2_endpoints
from prometheus_client import CONTENT_TYPE_LATEST

from questline_kserve.lookup.user import add_user_route
from questline_kserve.repository import DeclaredOnly, Plane
from questline_kserve.status import STATUS, UNEXPECTED, status_of, text_of

MetricsText = Callable[[], Awaitable[bytes]]
"""Gives metrics in Prometheus' text format."""

OWN_METRICS = "/metrics/process"
"""Path of the metrics of the process that answers."""


def application(plane: Plane, metrics_of_all: MetricsText | None = None) -> FastAPI:
    """Make the REST application over a data plane.

    Args:
        plane: what answers.
        metrics_of_all: gives the metrics of all processes of this server, where it is more than one.
    """
    warnings.simplefilter("ignore", FastAPIDeprecationWarning)  # kserve's V1 answers are ORJSONResponses
    app = FastAPI(title="Questline serving", docs_url=None, redoc_url=None, openapi_url=None)
    root = APIRouter()
    root.add_api_route("/", plane.live)
    root.add_api_route(OWN_METRICS, metrics_handler)
    root.add_api_route("/metrics", _text_of(metrics_of_all) if metrics_of_all else metrics_handler)
    app.include_router(root)
    add_user_route(app, plane.repository)
    _add_version_route(app, plane)
    extension = DeclaredOnly(plane.model_registry)
    register_v1_endpoints(app, plane, extension)
    register_v2_endpoints(app, plane, extension)
    for kind in STATUS:
        app.add_exception_handler(kind, _refuse)
    app.add_exception_handler(RequestValidationError, _refuse_form)
    app.add_exception_handler(Exception, _give_up)
    return app


def _text_of(metrics: MetricsText) -> Callable[[], Awaitable[Response]]:
    async def text() -> Response:
        return Response(await metrics(), media_type=CONTENT_TYPE_LATEST)

    return text


def _add_version_route(app: FastAPI, plane: Plane) -> None:
    """Answer V2 requests that name the revision in their path, which kserve's own route does not do."""

    async def infer(
        request: Request, model_name: str, model_version: str, request_body: InferenceRequest
    ) -> InferenceResponse:
        headers = dict(request.headers)
        asked = plane.decode_inference_request(request_body, headers, model_name)
        asked.model_version = model_version
        answer, _ = await plane.infer(model_name, asked, headers)
        body, _ = plane.encode(model_name, answer, headers, {})
        return InferenceResponse.model_validate(body)

    app.add_api_route("/v2/models/{model_name}/versions/{model_version}/infer", infer, methods=["POST"])


async def _refuse(request: Request, error: Exception) -> JSONResponse:
    status = status_of(error)
    return JSONResponse({"error": text_of(error)}, status.http) if status else await _give_up(request, error)


async def _refuse_form(_: Request, error: Any) -> JSONResponse:
    """Say where a body is not what the protocol wants, without the names of the classes that were tried."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"] if part not in {"body", "InferenceRequest"})
    return JSONResponse({"error": f"{where or 'the request'}: {first['msg']}"}, 400)


async def _give_up(_: Request, __: Exception) -> JSONResponse:
    return JSONResponse({"error": UNEXPECTED}, 500)  # uvicorn logs the error itself


class _Server(uvicorn.Server):
    """A uvicorn server that leaves the signals to the process and says when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listens = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say so."""
        await super().startup(sockets)
        self.listens.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


@asynccontextmanager
async def rest_server(app: FastAPI, taken: Sequence[socket.socket], *, grace_s: float) -> AsyncIterator[None]:
    """Answer REST requests on some ports until the block ends, then end the requests that are under way."""
    server = _Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            timeout_keep_alive=65,  # longer than the proxies before it, or they meet closed connections
            timeout_graceful_shutdown=int(grace_s),
        )
    )
    running = asyncio.create_task(server.serve(sockets=list(taken)))
    await server.listens.wait()
    try:
        yield
    finally:
        server.should_exit = True
        await running
