"""Run the gateway in this process, or in several that share its addresses, each with its own spool database."""

from __future__ import annotations

import asyncio
import gc
import sys
from contextlib import AsyncExitStack, suppress
from functools import partial
from typing import Any

import orjson
import structlog
import uvloop

from questline_core.crew import Crew, metrics_of_all
from questline_core.errors import QuestlineError
from questline_core.logs import configure_logs
from questline_core.processes import announced
from questline_core.stopping import told_to_stop
from questline_ingest.addresses import held
from questline_ingest.auth.gate import open_gate, require_closed
from questline_ingest.http.admin import opened_admin
from questline_ingest.server import COUNTS, PROCESS, ready_name, report, serve
from questline_ingest.settings import GatewaySettings

log = structlog.get_logger()

_LOOK_EVERY_S = 1.0
_BESIDE_DRAINS_S = 5.0
"""What a process needs to end beside the time of its drains."""


def run(settings: GatewaySettings) -> None:
    """Serve until SIGTERM or SIGINT, then drain.

    Raises:
        QuestlineError: it cannot start; says why.
    """
    configure_logs(PROCESS)
    if settings.processes == 1:
        _serve(settings, 0)
    else:
        uvloop.run(_lead(settings))


def _serve(settings: GatewaySettings, number: int) -> None:
    # What a call makes is gone without a search for cycles when it is answered, and what is loaded by now stays.
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    uvloop.run(serve(settings, number=number))


def _work(settings: GatewaySettings, number: int) -> None:
    """Be one of several processes."""
    configure_logs(ready_name(settings, number))
    try:
        _serve(settings, number)
    except QuestlineError as error:
        sys.stderr.write(f"questline: {error}\n")
        raise SystemExit(1) from None


def _told(crew: Crew) -> dict[str, Any]:
    """Add up what became of the events since each process started, and name the churn snapshot."""
    facts = list(crew.facts().values())
    counts = {name: sum(one[name] for one in facts) for name in COUNTS}
    return counts | {"churn": facts[0]["churn"] if facts else ""}


async def _metrics_text(crew: Crew) -> bytes:
    return metrics_of_all(await crew.ask("/metrics"))


async def _not_ready(crew: Crew) -> list[str]:
    """Tell why: nobody answers, or one that lives has a reason. One that is being started again is no reason."""
    told = await crew.ask("/readyz")
    why = [f"process {n}: {text}" for n, body in told.items() for text in _reasons(body)]
    return why if told else ["no process of the gateway is ready"]


def _reasons(body: bytes) -> list[str]:
    return list(orjson.loads(body)["why"]) if body else ["it does not answer"]


async def _lead(settings: GatewaySettings) -> None:
    """Hold the addresses, start the processes, answer for all of them, and stop them in the end."""
    require_closed(settings)
    async with AsyncExitStack() as opened:
        stop = opened.enter_context(told_to_stop())
        doors = {
            name: opened.enter_context(held(at, setting=f"QUESTLINE_{name.upper()}"))
            for name in ("listen", "http_listen", "tcp_listen")
            if (at := getattr(settings, name))
        }
        one = settings.model_copy(update={**doors, "admin_listen": "127.0.0.1:0"})
        crew = Crew(PROCESS, settings.paths.run, settings.processes, partial(_work, one))
        door = opened_admin(settings, open_gate(settings), partial(_metrics_text, crew), partial(_not_ready, crew))
        admin = await opened.enter_async_context(door)
        opened.push_async_callback(crew.stop, settings.notice_s + 2 * settings.drain_s + _BESIDE_DRAINS_S)
        crew.start()
        await crew.wait_ready(stop)
        say = partial(announced, settings.paths.run, PROCESS, listen=doors["listen"], admin=admin)
        with say(http=doors.get("http_listen", ""), tcp=doors.get("tcp_listen", ""), **_told(crew)) as ready:
            log.info("gateway ready", listen=doors["listen"], admin=admin, processes=settings.processes)
            while not stop.is_set():
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), _LOOK_EVERY_S)
                if not stop.is_set():
                    crew.start()
                report(ready, _told(crew))
    log.info("gateway stopped")
