"""Ask the revision of the spend model that a player belongs to, whichever revisions there are now."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import grpc

from questline_core.models.port import open_model_host
from questline_ingest.gathered import Gathered, Observe
from questline_ingest.open_inference import CHANNEL_OPTIONS, ModelUnavailable, Row
from questline_ingest.revisions import Revision, Revisions
from questline_ingest.spend import MODEL, spend_behind
from questline_ingest.verdicts import Spend
from questline_ingest.watcher import following

_Asked = Gathered[Row, Spend]


class SpendRouter:
    """The spend model as calls see it: each revision has its own requests, and its own breaker."""

    def __init__(self, *, timeout_s: float, observe: Observe) -> None:
        self._timeout_s, self._observe = timeout_s, observe
        self._now = Revisions(())
        self._asked: dict[Revision, _Asked] = {}
        self._channels: dict[str, grpc.aio.Channel] = {}

    def use(self, revisions: Revisions) -> None:
        """Ask these revisions from now on; requests under way end as they began."""
        for revision in revisions.all:
            if revision.address not in self._channels:
                self._channels[revision.address] = grpc.aio.insecure_channel(revision.address, options=CHANNEL_OPTIONS)
        kept = self._asked
        self._asked = {revision: kept.get(revision) or self._open(revision) for revision in revisions.all}
        self._now = revisions

    def _open(self, revision: Revision) -> _Asked:
        model = spend_behind(self._channels[revision.address], model=revision.model, version=revision.version)
        return Gathered(model, name=MODEL, timeout_s=self._timeout_s, observe=self._observe)

    async def ask(self, rows: Sequence[Row], *, players: Sequence[str], timeout_s: float) -> Sequence[Spend]:
        """Predict every row, for the player at the same place.

        Raises:
            ModelUnavailable: there is no usable answer within `timeout_s` seconds; its `reason` is a stable word.
        """
        now, asked = self._now, self._asked  # a change in the middle must not part them
        if not now.all:
            raise ModelUnavailable(MODEL, "unreachable", "no revision of it has answered yet")
        if len(now.all) == 1:
            return await asked[now.all[0]].ask(rows, timeout_s=timeout_s)
        places: dict[Revision, list[int]] = {}
        for index, player in enumerate(players):
            places.setdefault(now.of(player), []).append(index)
        main = asked[max(now.all, key=lambda other: other.share)]
        answers = await asyncio.gather(
            *(_ask_or(main, asked[one], [rows[i] for i in own], timeout_s) for one, own in places.items())
        )
        by_index = {
            index: spend
            for own, spends in zip(places.values(), answers, strict=True)
            for index, spend in zip(own, spends, strict=True)
        }
        return [by_index[index] for index in range(len(rows))]

    async def close(self) -> None:
        """Close all connections."""
        for channel in self._channels.values():
            await channel.close(None)


async def _ask_or(main: _Asked, own: _Asked, rows: Sequence[Row], timeout_s: float) -> Sequence[Spend]:
    """Ask a revision, and if it has no answer the one with most players: a bad canary costs nobody a prediction."""
    began = asyncio.get_running_loop().time()
    try:
        return await own.ask(rows, timeout_s=timeout_s / 2 if own is not main else timeout_s)
    except ModelUnavailable:
        if own is main:
            raise
    left_s = timeout_s - (asyncio.get_running_loop().time() - began)
    return await main.ask(rows, timeout_s=left_s)


@asynccontextmanager
async def open_router(address: str, *, timeout_s: float, observe: Observe) -> AsyncIterator[SpendRouter]:
    """Ask what is at host:port, or the revisions that a model host declares; connects when the first question comes.

    Raises:
        BadInput: the model host's address is not understood.
        NotReady: there is no cluster to talk to.
    """
    router = SpendRouter(timeout_s=timeout_s, observe=observe)
    async with AsyncExitStack() as opened:
        opened.push_async_callback(router.close)
        if address.startswith(("folder:", "kserve:")):
            await opened.enter_async_context(following(open_model_host(address), MODEL, router.use))
        else:
            router.use(Revisions((Revision(address=address),)))
        yield router
