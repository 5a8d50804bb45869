"""The web service of the trigger: what Pub/Sub pushes comes in here, and its answer decides whether it comes again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from questline_core.errors import BadInput, QuestlineError
from questline_pipelines.trigger.desk import Desk
from questline_pipelines.trigger.exports import Exports
from questline_pipelines.trigger.messages import Finished, Incident, Push
from questline_pipelines.trigger.tokens import Doorkeeper, Refused

Message = TypeVar("Message")

_log = structlog.get_logger()


def application(doorkeeper: Doorkeeper, desk: Desk, exports: Exports) -> Starlette:
    """Build the service: /push/load and /push/export for Pub/Sub, /livez and /readyz for Kubernetes.

    204 acknowledges a message, also one that starts nothing. Everything else lets Pub/Sub send it again, and give it to
    the dead letters after five times: 403 for a stranger, 400 for what is no message, 503 for what could not be done.
    """

    async def alive(_: Request) -> Response:
        return Response("ok")

    return Starlette(
        routes=[
            Route("/livez", alive),
            Route("/readyz", alive),
            Route("/push/load", _taking(doorkeeper, Incident.of, desk.alert), methods=["POST"]),
            Route("/push/export", _taking(doorkeeper, Finished.of, exports.finished), methods=["POST"]),
        ]
    )


def _taking(
    doorkeeper: Doorkeeper, read: Callable[[Push], Message], act: Callable[[Message], str]
) -> Callable[[Request], Awaitable[Response]]:
    """Make the route that checks who pushes, reads the message, and acts on it."""

    async def take(request: Request) -> Response:
        return await run_in_threadpool(answer, request.headers.get("authorization", ""), await request.body())

    def answer(authorization: str, body: bytes) -> Response:
        try:
            doorkeeper.check(authorization)
            message = read(Push.from_body(body))
        except Refused as error:
            return _refusal(403, error)
        except BadInput as error:
            return _refusal(400, error)
        except QuestlineError as error:
            return _refusal(503, error)
        try:
            decision = act(message)
        except QuestlineError as error:
            return _refusal(503, error)
        _log.info("push decided", decision=decision)
        return Response(status_code=204)

    return take


def _refusal(status: int, error: QuestlineError) -> Response:
    _log.warning("push refused", status=status, why=str(error))
    return JSONResponse({"error": str(error)}, status)
