"""Get predictions for each event of a call within their budget: fresh, else the last one, else the prior."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Protocol

import structlog

from questline_core.errors import NotReady
from questline_core.pb.telemetry_pb2 import Event
from questline_ingest.churn import ChurnModel
from questline_ingest.open_inference import ModelUnavailable, Row
from questline_ingest.verdicts import Churn, ChurnPrediction, Prediction, Source, Spend

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


class SpendModel(Protocol):
    """Says what players will spend."""

    async def ask(self, rows: Sequence[Row], *, players: Sequence[str], timeout_s: float) -> Sequence[Spend]:
        """Predict every row, for the player at the same place.

        Raises:
            ModelUnavailable: there is no usable answer within `timeout_s` seconds; its `reason` is a stable word.
        """


class Trouble:
    """Logs a change between answers and trouble, not every call of an outage."""

    def __init__(self, model: str) -> None:
        self._model, self._reason = model, ""

    def note(self, reason: str, detail: str = "") -> None:
        """Note that there are no answers for this reason, or with an empty one that there are."""
        if reason in (self._reason, "circuit_open"):
            return
        self._reason = reason
        if reason:
            log.warning("model gives no answers", model=self._model, reason=reason, detail=detail)
        else:
            log.info("model answers again", model=self._model)


class SpendPredictions:
    """Answers for whole calls; it never raises and never takes longer than its budget."""

    def __init__(self, model: SpendModel, inputs: Callable[[Event], Row], last: LastAnswers, *, prior: Spend) -> None:
        self._model, self._inputs, self._last, self._prior = model, inputs, last, prior
        self._trouble = Trouble("spend")

    async def ask(self, events: Sequence[Event], *, budget_s: float) -> list[Prediction]:
        """Predict the spend of each event's player, asking the model once for all of them."""
        reason, detail = "timeout", f"no answer in {budget_s:.3f} s"
        players = [event.user_pseudo_id for event in events]
        rows: Sequence[Row] = ()
        try:
            async with asyncio.timeout(budget_s):
                rows = await self._rows(events)
                spends = await self._model.ask(rows, players=players, timeout_s=budget_s)
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
            return self._fresh(events, spends, rows)
        self._trouble.note(reason, detail)
        asked: Sequence[Row | None] = rows or [None] * len(events)
        return [self._fallback(_player(event), reason, row) for event, row in zip(events, asked, strict=True)]

    async def _rows(self, events: Sequence[Event]) -> list[Row]:
        rows = []
        for index, event in enumerate(events):
            if index and index % _ROWS_BEFORE_OTHERS == 0:
                await asyncio.sleep(0)  # a large batch must not hold up the acknowledgement of others
            rows.append(self._inputs(event))
        return rows

    def _fresh(self, events: Sequence[Event], spends: Sequence[Spend], rows: Sequence[Row]) -> list[Prediction]:
        self._trouble.note("")
        for event, spend in zip(events, spends, strict=True):
            self._last.keep(_player(event), spend)
        return [
            Prediction(spend=spend, source=Source.FRESH, inputs=row) for spend, row in zip(spends, rows, strict=True)
        ]

    def _fallback(self, player: Player, reason: str, row: Row | None) -> Prediction:
        spend = self._last.get(player)
        if spend:
            return Prediction(spend=spend, source=Source.STALE, reason=reason, inputs=row)
        return Prediction(spend=self._prior, source=Source.DEFAULT, reason=reason, inputs=row)


class ChurnPredictions:
    """As `SpendPredictions`, for the probability of leaving; a lookup has no earlier answer to fall back on."""

    def __init__(self, model: ChurnModel, *, prior: float) -> None:
        self._model = model
        self._prior = Churn(probability=prior, model="", generation="", is_prior=True)
        self._trouble = Trouble("churn")

    @property
    def mapped(self) -> str:
        """See `ChurnModel.mapped`."""
        return self._model.mapped

    async def ask(self, events: Sequence[Event], *, budget_s: float) -> list[ChurnPrediction]:
        """Tell of each event's player, asking once for all of them."""
        reason, detail = "timeout", f"no answer in {budget_s:.3f} s"
        try:
            churns = await self._model.ask([event.user_pseudo_id for event in events], timeout_s=budget_s)
        except ModelUnavailable as error:
            reason, detail = error.reason, error.detail
        except Exception:
            log.exception("churn prediction failed", events=len(events))
            reason, detail = "internal", "an error of the gateway, logged above"
        else:
            self._trouble.note("")
            return [ChurnPrediction(churn=churn, source=Source.FRESH) for churn in churns]
        self._trouble.note(reason, detail)
        return [ChurnPrediction(churn=self._prior, source=Source.DEFAULT, reason=reason)] * len(events)


def _player(event: Event) -> Player:
    return event.title, event.user_pseudo_id
