"""Get a spend prediction for each event of a call within its budget: fresh, else the last one, else the prior."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence

import structlog

from questline_core.errors import NotReady
from questline_core.pb.telemetry_pb2 import Event
from questline_ingest.open_inference import Row
from questline_ingest.spend import ModelUnavailable, SpendModel
from questline_ingest.verdicts import Prediction, Source, Spend

log = structlog.get_logger()

_ROWS_BEFORE_OTHERS = 200

Player = tuple[str, str]


class LastAnswers:
    """The newest prediction of the players that were asked about last."""

    def __init__(self, *, players: int, max_age_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._players, self._max_age_s, self._clock = players, max_age_s, clock
        self._kept: OrderedDict[Player, tuple[float, Spend]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def keep(self, player: Player, spend: Spend) -> None:
        """Remember an answer in place of the player's earlier one, and forget the player heard of longest ago."""
        self._kept[player] = (self._clock(), spend)
        self._kept.move_to_end(player)
        if len(self._kept) > self._players:
            self._kept.popitem(last=False)

    def get(self, player: Player) -> Spend | None:
        """Recall a player's last answer, unless it is too old."""
        at, spend = self._kept.get(player, (0.0, None))
        return spend if spend and self._clock() - at <= self._max_age_s else None


class Predictions:
    """Answers for whole calls; it never raises and never takes longer than its budget."""

    def __init__(self, model: SpendModel, inputs: Callable[[Event], Row], last: LastAnswers, *, prior: Spend) -> None:
        self._model, self._inputs, self._last, self._prior = model, inputs, last, prior
        self._trouble = ""

    async def ask(self, events: Sequence[Event], *, budget_s: float) -> list[Prediction]:
        """Predict the spend of each event's player, asking the model once for all of them."""
        reason, detail = "timeout", f"no answer in {budget_s:.3f} s"
        try:
            async with asyncio.timeout(budget_s):
                spends = await self._model.ask(await self._rows(events), timeout_s=budget_s)
        except TimeoutError:
            pass
        except ModelUnavailable as error:
            reason, detail = error.reason, error.detail
        except NotReady as error:
            reason, detail = "features_unreadable", str(error)
        except Exception:
            log.exception("spend prediction failed", events=len(events))
            reason, detail = "internal", "an error of the gateway, logged above"
        else:
            return self._fresh(events, spends)
        self._note(reason, detail)
        return [self._fallback(_player(event), reason) for event in events]

    async def _rows(self, events: Sequence[Event]) -> list[Row]:
        rows = []
        for index, event in enumerate(events):
            if index and index % _ROWS_BEFORE_OTHERS == 0:
                await asyncio.sleep(0)  # a large batch must not hold up the acknowledgement of others
            rows.append(self._inputs(event))
        return rows

    def _fresh(self, events: Sequence[Event], spends: Sequence[Spend]) -> list[Prediction]:
        self._note("", "")
        for event, spend in zip(events, spends, strict=True):
            self._last.keep(_player(event), spend)
        return [Prediction(spend=spend, source=Source.FRESH) for spend in spends]

    def _fallback(self, player: Player, reason: str) -> Prediction:
        spend = self._last.get(player)
        if spend:
            return Prediction(spend=spend, source=Source.STALE, reason=reason)
        return Prediction(spend=self._prior, source=Source.DEFAULT, reason=reason)

    def _note(self, trouble: str, detail: str) -> None:
        """Log a change between answers and trouble, not every call of an outage."""
        if trouble == self._trouble:
            return
        self._trouble = trouble
        if trouble:
            log.warning("spend model gives no answers", reason=trouble, detail=detail)
        else:
            log.info("spend model answers again")


def _player(event: Event) -> Player:
    return event.title, event.user_pseudo_id
