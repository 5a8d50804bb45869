"""The gateway as a process: open what it needs, serve, say how it is, and drain on SIGTERM."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, closing, suppress
from dataclasses import asdict, dataclass, fields
from functools import partial
from typing import Any, Protocol, runtime_checkable

import grpc
import structlog
from grpc_health.v1 import health_pb2_grpc

from questline_core.broker.port import Broker, open_broker
from questline_core.crew import number_of
from questline_core.errors import BadInput
from questline_core.features.online import spend_inputs
from questline_core.features.store import FeatureStore, open_reader
from questline_core.lookup import signing_key
from questline_core.pb.telemetry_pb2 import Event
from questline_core.processes import ReadyFile, announced
from questline_core.stopping import told_to_stop
from questline_ingest.addresses import cannot_listen, require_free
from questline_ingest.admission import Admission
from questline_ingest.auth.gate import open_gate, require_closed
from questline_ingest.auth.tls import Files, grpc_credentials
from questline_ingest.churn import MappedLookup, open_churn_model, refreshed
from questline_ingest.doors import opened_doors
from questline_ingest.gateway import Budget, Counts, Gateway
from questline_ingest.health import Health
from questline_ingest.http.admin import opened_admin
from questline_ingest.metrics import Metrics
from questline_ingest.open_inference import Row
from questline_ingest.predictions import ChurnPredictions, LastAnswers, SpendModel, SpendPredictions
from questline_ingest.recent import RecentIds
from questline_ingest.router import open_router
from questline_ingest.served import open_served
from questline_ingest.servicer import SERVICE, IngestService
from questline_ingest.settings import GatewaySettings
from questline_ingest.tracing import open_tracing
from questline_ingest.verdicts import Spend

log = structlog.get_logger()

PROCESS = "gateway"
COUNTS = tuple(one.name for one in fields(Counts))
_REPORT_EVERY_S = 1.0
_STREAMS_PER_CONNECTION = 1_000
"""Many: gRPC counts answered calls until they are cleared away, and refuses a client that keeps to a low limit."""


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
        sample = await opened.enter_async_context(open_served(broker, share=settings.served_share))
        yield Gateway(
            broker,
            _known_ids(settings, broker),
            _spend_predictions(settings, spend, features),
            ChurnPredictions(churn, prior=settings.churn_prior),
            title=settings.title,
            max_batch_events=settings.max_batch_events,
            committed=metrics.committed,
            sample=sample,
            tracing=await opened.enter_async_context(open_tracing(settings.otlp_endpoint)),
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
            # Where one process is alone, a second gateway would take half of its calls instead of failing to start.
            ("grpc.so_reuseport", int(settings.processes > 1)),
        )
    )
    health = Health([SERVICE], trouble=gateway.storing.trouble)
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    admission = Admission(
        settings.max_inflight_bytes, max_wait_s=settings.max_wait_s, behind_s=gateway.storing.behind_s
    )
    longest = Budget(spend_s=settings.spend_timeout_s, churn_s=settings.churn_timeout_s)
    gate, files = open_gate(settings), Files.of(settings)
    service = IngestService(gateway, admission, gate, longest=longest)
    server.add_generic_rpc_handlers((service.handler(),))
    metrics.follow(gateway, admission)
    async with (
        opened_admin(settings, gate, metrics.text, partial(_not_ready, health, gateway)) as admin,
        opened_doors(gateway, admission, gate, settings) as doors,
    ):
        address = _bind(server, settings, grpc_credentials(files) if files else None)
        await server.start()
        following = asyncio.create_task(health.follow())
        try:
            yield Addresses(grpc=address, admin=admin, **doors)
        finally:
            await _ended(following)
            health.leave()
            await asyncio.sleep(settings.notice_s)
            service.leave()
            health.end()
            await server.stop(settings.drain_s)
            with suppress(TimeoutError):
                async with asyncio.timeout(settings.drain_s):
                    await gateway.settled()


async def _not_ready(health: Health, gateway: Gateway) -> list[str]:
    why = [] if health.serving else ["it is draining, because it was told to stop"]
    if trouble := gateway.storing.trouble():
        why.append(f"events are refused: {trouble}")
    return why


def _bind(server: grpc.aio.Server, settings: GatewaySettings, tls: grpc.ServerCredentials | None) -> str:
    listen = settings.listen
    try:
        require_free(listen, shared=settings.processes > 1)
        port = server.add_secure_port(listen, tls) if tls else server.add_insecure_port(listen)
    except (OSError, OverflowError, RuntimeError) as error:
        raise cannot_listen(listen, error, setting="QUESTLINE_LISTEN") from None
    return f"{listen.rpartition(':')[0]}:{port}"


def ready_name(settings: GatewaySettings, number: int) -> str:
    """Name the file in `run` by which a process says that it is ready; several have a number each."""
    return PROCESS if settings.processes == 1 else number_of(PROCESS, number)


async def serve(settings: GatewaySettings, *, number: int = 0) -> None:
    """Run until told to stop, then drain.

    Args:
        settings: where and how.
        number: of this process, among those that share the addresses; names its database in the spool.

    Raises:
        NotReady: the address is in use.
        BadInput: a folder cannot be written.
    """
    require_closed(settings)
    async with AsyncExitStack() as opened:
        stop = opened.enter_context(told_to_stop())
        metrics = Metrics()
        broker = opened.enter_context(closing(open_broker(settings.broker_url, process=f"{PROCESS}-{number}")))
        gateway = await opened.enter_async_context(opened_gateway(settings, broker, metrics))
        await _serve_until(stop, gateway, settings, metrics, name=ready_name(settings, number))
    log.info("gateway stopped", **asdict(gateway.counts))


async def _serve_until(
    stop: asyncio.Event, gateway: Gateway, settings: GatewaySettings, metrics: Metrics, *, name: str
) -> None:
    async with running(gateway, settings, metrics) as at:
        with announced(
            settings.paths.run,
            name,
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
                report(ready, _told(gateway))


def _told(gateway: Gateway) -> dict[str, Any]:
    return {**asdict(gateway.counts), "churn": gateway.snapshot}


def report(ready: ReadyFile, told: Mapping[str, Any]) -> None:
    """Write the counters, if they changed; a folder that went away must not end the gateway."""
    if told.items() <= ready.facts.items():
        return
    try:
        ready.update(**told)
    except BadInput as error:
        log.warning("counters not written", reason=str(error))
