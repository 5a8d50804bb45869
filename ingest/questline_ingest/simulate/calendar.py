"""When players play: who arrives on which day, who comes back, and how much is played at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import exp

from questline_ingest.simulate import published
from questline_ingest.simulate.dice import Dice
from questline_ingest.simulate.players import STICKINESS_SHAPE, Player, make_player, time_of_day
from questline_ingest.simulate.profile import profile
from questline_ingest.simulate.world import SECOND, World

EVENTS_A_DAY_MOST = 300
"""No player has more events a day: the far tail of the published distribution is cut, so that a history stays small."""
DAY_ONE, DECAY = published.RETENTION[1], 0.69
"""Day n of the published retention is close to `DAY_ONE * n ** -DECAY`: 10.1, 5.6, 3.5, 2.1 % on days 3, 7, 14, 30."""
FORGET_TO_TELL = 0.93
"""Share of players who leave without an `app_remove`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One sitting that a player means to have."""

    start: int
    """Microseconds UTC."""
    player: Player
    events: int
    """How many events it lasts, roughly."""
    farewell: bool
    """The player removes the app afterwards."""


def plans(world: World) -> Iterator[Plan]:
    """Plan all sittings of a world, in order of their starts; only players who will come back are kept in memory."""
    agenda: list[list[Player]] = [[] for _ in range(world.days)]
    arrivals = _arrivals(world)
    for day in range(world.days):
        present = agenda[day] + [_arrive(world, index, day) for index in arrivals[day]]
        agenda[day] = []
        today: list[Plan] = []
        for player in present:
            again = _next_day(player, world, day)
            if again is not None:
                agenda[again].append(player)
            today += _day_of(player, world, day, farewell=again is None and not player.dice.happens(FORGET_TO_TELL))
        yield from sorted(today, key=lambda plan: plan.start)


def _arrive(world: World, index: int, day: int) -> Player:
    player = make_player(world, index, day)
    player.profile = profile(world, player)
    return player


def _arrivals(world: World) -> list[list[int]]:
    """Spread the players over the days: more on the first ones, when all who played before are seen anew."""
    weights = [1 + 2.2 * exp(-day / 14) for day in range(world.days)]
    days = Dice(world.key("arrivals")).choices(range(world.days), weights, k=world.players)
    arrivals: list[list[int]] = [[] for _ in range(world.days)]
    for index, day in enumerate(days):
        arrivals[day].append(index)
    return arrivals


def _next_day(player: Player, world: World, day: int) -> int | None:
    """Throw for each later day; over all players the shares of those who are back follow the published retention."""
    for later in range(day + 1, world.days):
        share = DAY_ONE * (later - player.first_day) ** -DECAY
        pull = STICKINESS_SHAPE * ((1 - share) ** (-1 / STICKINESS_SHAPE) - 1)
        if player.dice.happens(1 - exp(-player.stickiness * pull)):
            return later
    return None


def _day_of(player: Player, world: World, day: int, *, farewell: bool) -> list[Plan]:
    dice = player.dice
    events = min(EVENTS_A_DAY_MOST, dice.about(player.events_a_day, 0.7))
    times = 1 + dice.happens(0.1) + dice.happens(0.04)
    midnight, next_midnight = world.midnight(day), world.midnight(day + 1)
    # The day on which clocks go forward has 23 hours.
    starts = sorted(min(midnight + time_of_day(dice, player.clock_hours), next_midnight - SECOND) for _ in range(times))
    if day == player.first_day:
        starts = [player.first_seen, *(start for start in starts[1:] if start > player.first_seen)]
    return [
        Plan(
            start=start,
            player=player,
            events=max(3, int(events / len(starts))),
            farewell=farewell and start == starts[-1],
        )
        for start in starts
    ]
