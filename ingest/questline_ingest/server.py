"""The gateway as a process: open what it needs, serve, say how it is, and drain on SIGTERM."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, closing, contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Protocol, runtime_checkable

import grpc
import structlog
from grpc_health.v1 import health_pb2_grpc

from questline_core.broker.port import Broker, open_broker
from questline_core.errors import BadInput, NotReady
from questline_core.features.online import spend_inputs
from questline_core.features.store import FeatureStore, open_reader
from questline_core.lookup import signing_key
from questline_core.pb.telemetry_pb2 import Event
from questline_core.processes import ReadyFile, announced
from questline_ingest.admission import Admission
from questline_ingest.auth.gate import open_gate, require_closed
from questline_ingest.auth.tls import Files, grpc_credentials
from questline_ingest.churn import MappedLookup, open_churn_model, refreshed
from questline_ingest.doors import opened_doors
from questline_ingest.gateway import Budget, Gateway
from questline_ingest.health import Health
from questline_ingest.http.admin import admin_app
from questline_ingest.http.serving import served
from questline_ingest.metrics import Metrics
from questline_ingest.open_inference import Row
from questline_ingest.predictions import ChurnPredictions, LastAnswers, SpendModel, SpendPredictions
from questline_ingest.recent import RecentIds
from questline_ingest.router import open_router
from questline_ingest.servicer import SERVICE, IngestService
from questline_ingest.settings import GatewaySettings
from questline_ingest.verdicts import Spend

log = structlog.get_logger()

PROCESS = "gateway"
_SPOOL = "gateway-0"
_REPORT_EVERY_S = 1.0
_STREAMS_PER_CONNECTION = 100


@runtime_checkable
class RemembersIds(Protocol):
    """What a broker can do beside its port: tell the ids of the newest events, for a gateway that starts."""

    def recent_ids(self, limit: int) -> list[str]:
        """Give ids of events, oldest first, whether consumed or not."""


@asynccontextmanager
async def opened_gateway(settings: GatewaySettings, broker: Broker, metrics: Metrics) -> AsyncIterator[Gateway]:
    """Open what a gateway asks beside the broker, and give the gateway."""
    async with AsyncExitStack() as opened:
        features = opened.enter_context(open_reader(settings.paths.features))
        mapped = MappedLookup(settings.paths.lookup, lambda: signing_key(settings))
        opened.push_async_callback(_ended, asyncio.create_task(_follow(mapped, settings.churn_refresh_s)))
        spend = await opened.enter_async_context(
            open_router(settings.spend_address, timeout_s=settings.spend_timeout_s, observe=metrics.of_model("spend"))
        )
        churn = await opened.enter_async_context(
            open_churn_model(
                settings.churn_address, mapped, timeout_s=settings.churn_timeout_s, observe=metrics.of_model("churn")
            )
        )
        yield Gateway(
            broker,
            _known_ids(settings, broker),
            _spend_predictions(settings, spend, features),
            ChurnPredictions(churn, prior=settings.churn_prior),
            title=settings.title,
            max_batch_events=settings.max_batch_events,
            committed=metrics.committed,
        )


def _known_ids(settings: GatewaySettings, broker: Broker) -> RecentIds:
    ids = broker.recent_ids(settings.recent_ids) if isinstance(broker, RemembersIds) else []
    return RecentIds(settings.recent_ids, ids)


def _spend_predictions(settings: GatewaySettings, model: SpendModel, features: FeatureStore) -> SpendPredictions:
    def inputs(event: Event) -> Row:
        return spend_inputs(features.get(event.user_pseudo_id), event)

    prior = Spend(**settings.spend_prior.model_dump(), revision="")
    last = LastAnswers(players=settings.stale_players, max_age_s=settings.stale_s)
    return SpendPredictions(model, inputs, last, prior=prior)


async def _follow(mapped: MappedLookup, every_s: float) -> None:
    """Take each new generation of the snapshot."""
    told = ""
    while True:
        trouble = await asyncio.to_thread(refreshed, mapped)
        if trouble and trouble != told:
            log.warning("the churn snapshot is not used", reason=trouble)
        told = trouble
        await asyncio.sleep(every_s)


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Where a gateway listens, host:port each."""

    grpc: str
    admin: str
    http: str = ""
    """Empty where the door is closed, as `tcp`."""
    tcp: str = ""


@asynccontextmanager
async def running(gateway: Gateway, settings: GatewaySettings, metrics: Metrics) -> AsyncIterator[Addresses]:
    """Serve a gateway and yield its addresses; at the end health says NOT_SERVING first, then calls drain.

    Raises:
        NotReady: the address cannot be bound.
    """
    server = grpc.aio.server(
        options=(
            ("grpc.max_receive_message_length", settings.max_message_bytes),
            ("grpc.max_concurrent_streams", _STREAMS_PER_CONNECTION),
            # Otherwise a second gateway would take half of this one's calls instead of failing to start.
            ("grpc.so_reuseport", 0),
        )
    )
    health = Health([SERVICE])
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    admission = Admission(settings.max_inflight_bytes)
    longest = Budget(spend_s=settings.spend_timeout_s, churn_s=settings.churn_timeout_s)
    gate, files = open_gate(settings), Files.of(settings)
    service = IngestService(gateway, admission, gate, longest=longest)
    server.add_generic_rpc_handlers((service.handler(),))
    metrics.follow(gateway, admission)
    app = admin_app(metrics.registry, partial(_not_ready, health, gateway))
    async with (
        served(app, settings.admin_listen, setting="QUESTLINE_ADMIN_LISTEN") as admin,
        opened_doors(gateway, admission, gate, settings) as doors,
    ):
        address = _bind(server, settings.listen, grpc_credentials(files) if files else None)
        await server.start()
        try:
            yield Addresses(grpc=address, admin=admin, **doors)
        finally:
            health.leave()
            await asyncio.sleep(settings.notice_s)
            service.leave()
            health.end()
            await server.stop(settings.drain_s)
            with suppress(TimeoutError):
                async with asyncio.timeout(settings.drain_s):
                    await gateway.settled()


def _not_ready(health: Health, gateway: Gateway) -> list[str]:
    why = [] if health.serving else ["it is draining, because it was told to stop"]
    if trouble := gateway.storing.trouble():
        why.append(f"events are refused: {trouble}")
    return why


def _bind(server: grpc.aio.Server, listen: str, tls: grpc.ServerCredentials | None) -> str:
    host, _, port = listen.rpartition(":")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        # gRPC tells only that binding failed; the system tells why.
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host.strip("[]"), int(port)))
        return f"{host}:{server.add_secure_port(listen, tls) if tls else server.add_insecure_port(listen)}"
    except (OSError, OverflowError, RuntimeError) as error:
        raise NotReady(
            f"the gateway cannot listen on {listen} ({getattr(error, 'strerror', None) or error}); "
            f"stop what uses port {port} or set QUESTLINE_LISTEN to another host:port"
        ) from None


async def serve(settings: GatewaySettings) -> None:
    """Run until SIGTERM or SIGINT, then drain.

    Raises:
        NotReady: the address is in use.
        BadInput: a folder cannot be written.
    """
    require_closed(settings)
    async with AsyncExitStack() as opened:
        stop = opened.enter_context(_signals())
        metrics = Metrics()
        broker = opened.enter_context(closing(open_broker(settings.broker_url, process=_SPOOL)))
        gateway = await opened.enter_async_context(opened_gateway(settings, broker, metrics))
        await _serve_until(stop, gateway, settings, metrics)
    log.info("gateway stopped", **asdict(gateway.counts))


async def _serve_until(stop: asyncio.Event, gateway: Gateway, settings: GatewaySettings, metrics: Metrics) -> None:
    async with running(gateway, settings, metrics) as at:
        with announced(
            settings.paths.run,
            PROCESS,
            listen=at.grpc,
            admin=at.admin,
            http=at.http,
            tcp=at.tcp,
            **_told(gateway),
        ) as ready:
            log.info(
                "gateway ready",
                listen=at.grpc,
                admin=at.admin,
                broker=settings.broker_url,
                spend=settings.spend_address,
            )
            while not stop.is_set():
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), _REPORT_EVERY_S)
                _report(ready, gateway)


@contextmanager
def _signals() -> Iterator[asyncio.Event]:
    """Set an event at SIGTERM or SIGINT, until the block ends."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        yield stop
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


def _told(gateway: Gateway) -> dict[str, Any]:
    return {**asdict(gateway.counts), "churn": gateway.snapshot}


def _report(ready: ReadyFile, gateway: Gateway) -> None:
    """Write the counters, if they changed; a folder that went away must not end the gateway."""
    told = _told(gateway)
    if told.items() <= ready.facts.items():
        return
    try:
        ready.update(**told)
    except BadInput as error:
        log.warning("counters not written", reason=str(error))
