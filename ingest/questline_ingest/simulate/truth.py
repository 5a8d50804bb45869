"""What nobody but the simulator knows: the true chances of each player, and so how good a model can be at best.

At a moment the world is forked: the player, with all habits and all history, lives on many times with other luck. The
share of futures with a spend is the true chance of one (known to the draws), their mean is the expected amount. No
model that sees only events can do better on average.

The spend examples take one event a player and day by a hash. Of a day with n events each is taken once in n times, so a
future in which the day goes on for long is rarer among examples than among events: futures weigh 1 / n.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from hashlib import md5
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy.stats import rankdata

from questline_core.errors import BadInput
from questline_core.metrics import losses, normalized_gini, pr_auc, roc_auc
from questline_ingest.simulate.comings import born, next_visit
from questline_ingest.simulate.dice import Dice
from questline_ingest.simulate.listener import Listener
from questline_ingest.simulate.players import Player
from questline_ingest.simulate.sitting import play
from questline_ingest.simulate.summary import BOUNCE
from questline_ingest.simulate.world import DAY, SECOND, World

NO_URGE = 1e-6
"""Below this a player never spends: the chance of it is not worth a fork."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpendTruth:
    """One event a player and day (UTC), the one that the spend examples take, and what follows it."""

    event_id: str
    player: str
    at_micros: int
    probability: float
    """True chance that the player spends within the horizon."""
    expected: float
    """True mean of what the player spends within the horizon, steps."""
    spend: float
    """What the player did spend."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChurnTruth:
    """One player a day after the first engagement."""

    player: str
    first_micros: int
    probability: float
    """True chance that the player is not seen again, given all that happened in the first 24 hours."""
    probability_unless_bounced: float
    """The same, given that the player does not bounce: 0 for who was there for ten minutes at most and so must come."""
    bounced: bool
    churned: bool


@dataclass(slots=True)
class Truths:
    """All that is known of the players of a world."""

    spend: list[SpendTruth] = field(default_factory=list)
    churn: list[ChurnTruth] = field(default_factory=list)


def truths(world: World, *, horizon_hours: int, draws: int) -> Truths:
    """Find the true chances of all players of a world (bots left out); fork each moment `draws` times, two at least."""
    found = Truths()
    horizon = horizon_hours * 3_600 * SECOND
    for player in born(world):
        life = _Life(world, player, horizon, draws)
        life.live()
        found.spend += life.spend_truths()
        churn = life.churn_truth()
        if churn:
            found.churn.append(churn)
    return found


def ceiling(found: Truths) -> dict[str, Any]:
    """Tell what a perfect model reaches on these examples."""
    spend = np.array([one.spend for one in found.spend], dtype=np.float64)
    chance = np.array([one.probability for one in found.spend], dtype=np.float64)
    expected = np.array([one.expected for one in found.spend], dtype=np.float64)
    stayed = [one for one in found.churn if not one.bounced]
    return {
        "spend": _of_chance(spend > 0, chance)
        | {
            "normalized_gini": normalized_gini(spend, expected),
            "spearman_among_spenders": _spearman(spend[spend > 0], expected[spend > 0]),
            "rmse": float(np.sqrt(np.mean((spend - expected) ** 2))),
            "mean": float(spend.mean()),
            "expected_mean": float(expected.mean()),
        },
        "churn_of_those_who_did_not_bounce": _of_chance(
            np.array([one.churned for one in stayed]),
            np.array([one.probability_unless_bounced for one in stayed], dtype=np.float64),
        ),
        "not_seen_after_a_day": _of_chance(
            np.array([one.churned for one in found.churn]),
            np.array([one.probability for one in found.churn], dtype=np.float64),
        ),
    }


def save(found: Truths, folder: Path, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Write truth.json (facts and ceiling), spend_truth.parquet and churn_truth.parquet; give what truth.json says.

    Raises:
        BadInput: the folder cannot be written.
    """
    told = {**facts, "ceiling": ceiling(found)}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, rows in (("spend", found.spend), ("churn", found.churn)):
            table = pa.Table.from_pylist([asdict(row) for row in rows])
            pq.write_table(table, folder / f"{name}_truth.parquet")
        (folder / "truth.json").write_text(json.dumps(told, indent=2, default=str), encoding="utf-8")
    except OSError as error:
        raise BadInput(f"cannot write to {folder} ({error.strerror}); choose another --truth") from None
    return told


def _mean(values: Any, weights: Any) -> float:
    """Give a weighted mean that few draws hardly shift (jackknife): a quotient of two sums comes out too high."""
    top, draws = values * weights, len(values)
    quotient = top.sum() / weights.sum()
    with_one_left_out = (top.sum() - top) / (weights.sum() - weights)
    return max(0.0, float(draws * quotient - (draws - 1) * with_one_left_out.mean()))


def _of_chance(happened: Any, chance: Any) -> dict[str, float]:
    positive = happened.astype(np.float64)
    base = np.full(len(positive), positive.mean())
    return {
        "examples": len(positive),
        "positive_share": float(positive.mean()),
        "mean_chance": float(chance.mean()),
        "roc_auc": roc_auc(positive, chance),
        "pr_auc": pr_auc(positive, chance),
        "log_loss": float(losses(positive, chance).mean()),
        "log_loss_of_base_rate": float(losses(positive, base).mean()),
    }


def _spearman(left: Any, right: Any) -> float:
    return float(np.corrcoef(rankdata(left), rankdata(right))[0, 1])


@dataclass(slots=True)
class _Moment:
    """An event that the world is forked at."""

    drawn: str
    """The hash that chooses one event a day."""
    number: int
    at: int
    before: _Before
    earlier: int
    """How many events of the same day came before the sitting."""


@dataclass(slots=True)
class _Before:
    """A player just before a sitting, to start from again."""

    player: Player
    dice: Any
    start: int


class _Life:
    """One player's life, and other lives that it could have been."""

    def __init__(self, world: World, player: Player, horizon: int, draws: int) -> None:
        self.world, self.player, self.horizon, self.draws = world, player, horizon, draws
        self.spends: list[tuple[int, int]] = []
        self.moments: dict[int, _Moment] = {}
        self.events_on = Counter[int]()
        self.first: int | None = None
        self.last = 0
        self.first_day_span = 0
        self.after_first_day: Player | None = None
        self.other = Dice(0)

    def live(self) -> None:
        """Play the life as it is, and note where to fork it."""
        start: int | None = self.player.first_seen
        while start is not None and start < self.world.end:
            before = _Before(replace(self.player), self.player.dice.getstate(), start)
            heard = Listener(self.world, self.player, start)
            play(self.world, self.player, heard, start)
            self.spends += heard.spends
            self._choose(heard, before)
            self._engage([at for at in heard.engaged if at < self.world.end])
            start = next_visit(self.world, self.player)

    def _choose(self, heard: Listener, before: _Before) -> None:
        for number, at in enumerate(heard.times, before.player.events):
            drawn = md5(f"{self.player.key}-{number}".encode(), usedforsecurity=False).hexdigest()
            known = self.moments.get(at // DAY)
            if at < self.world.end and (known is None or drawn < known.drawn):
                self.moments[at // DAY] = _Moment(drawn, number, at, before, self.events_on[at // DAY])
        self.events_on.update(at // DAY for at in heard.times)

    def _engage(self, times: list[int]) -> None:
        if not times:
            return
        self.first = self.first or times[0]
        self.last = times[-1]
        early = [at for at in times if at < self.first + DAY]
        if early:
            self.first_day_span = early[-1] - self.first
            self.after_first_day = replace(self.player)

    def spend_truths(self) -> Iterator[SpendTruth]:
        """Fork the life at the chosen moments whose outcome is due."""
        due = self.world.end - self.horizon
        for moment in self.moments.values():
            if moment.at <= due:
                probability, expected = self._chances(moment)
                yield SpendTruth(
                    event_id=f"{self.player.key}-{moment.number}",
                    player=self.player.pseudo_id,
                    at_micros=moment.at,
                    probability=probability,
                    expected=expected,
                    spend=self._spent(self.spends, moment.at),
                )

    def _chances(self, moment: _Moment) -> tuple[float, float]:
        """Give the true chance of a spend after a moment, and its true mean."""
        if self.player.urge <= NO_URGE:
            return 0.0, 0.0
        futures = np.array([self._future(moment, number) for number in range(self.draws)], np.float64)
        weights, spend = 1 / futures[:, 0], futures[:, 1]
        return min(_mean(spend > 0, weights), 1.0), _mean(spend, weights)

    def _future(self, moment: _Moment, number: int) -> tuple[int, float]:
        """Play the sitting again up to the moment, then on with other luck; give the day's events and what is spent."""
        before, dice = moment.before, self.other
        dice.setstate(before.dice)
        player = replace(before.player, dice=dice)
        start: int | None = before.start
        spends: list[tuple[int, int]] = []
        day, events = moment.at // DAY, moment.earlier
        while start is not None and start <= moment.at + self.horizon:
            heard = Listener(self.world, player, start)
            heard.fate_after, heard.fate = moment.number, moment.at ^ (number << 52)
            play(self.world, player, heard, start)
            spends += heard.spends
            events += sum(at // DAY == day for at in heard.times)
            start = next_visit(self.world, player)
        return events, self._spent(spends, moment.at)

    def _spent(self, spends: list[tuple[int, int]], at: int) -> float:
        return float(sum(steps for when, steps in spends if at < when <= at + self.horizon))

    def churn_truth(self) -> ChurnTruth | None:
        """Throw many times when the player is back, given that the rest of the first day is known."""
        if self.first is None or self.after_first_day is None or self.first + DAY >= self.world.end:
            return None
        then = self.first + DAY
        chance = self._gone(then)
        return ChurnTruth(
            player=self.player.pseudo_id,
            first_micros=self.first,
            probability=chance,
            probability_unless_bounced=chance if self.first_day_span > BOUNCE else 0.0,
            bounced=self.last - self.first <= BOUNCE,
            churned=self.last < then,
        )

    def _gone(self, then: int) -> float:
        player = replace(self.after_first_day or self.player, dice=Dice(then))
        backs = [next_visit(self.world, player) for _ in range(self.draws)]
        late = [back for back in backs if back is None or back >= then]
        gone = sum(back is None or back >= self.world.end for back in late)
        return gone / len(late) if late else 0.0
