"""When players come: who arrives on which day, and when a player who just left is back.

Nothing of a player's future is drawn before it comes, so that at any moment the true chances follow from the player.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from functools import cache
from heapq import heappop, heappush
from itertools import accumulate, count
from math import exp

from questline_ingest.simulate import published
from questline_ingest.simulate.players import STICKINESS_SHAPE, Player, make_bot, make_player, time_of_day
from questline_ingest.simulate.profile import profile
from questline_ingest.simulate.world import HOUR, SECOND, World

DAY_ONE, DECAY = published.RETENTION[1], 0.69
"""Day n of the published retention is close to `DAY_ONE * n ** -DECAY`: 10.1, 5.6, 3.5, 2.1 % on days 3, 7, 14, 30."""
SUCCESS_DRAWS = 0.6
"""Who plays better is drawn back more: twofold for so many parts of a standard deviation."""
DRAW_ON_AVERAGE = 0.125
"""Takes away what that adds over all players, so that the retention stays."""
FAR = 3_660
"""Nobody comes back after so many days."""
AGAIN_TODAY = 0.17
"""Share of sittings that another one follows on the same day."""
BOT_DAYS = 3
"""A wave of bots lasts so many days."""
BOT_PAUSE = 2 * HOUR


def visits(world: World) -> Iterator[tuple[int, Player]]:
    """Give each start of a sitting and its player, in order of time and without end.

    The caller plays the sitting, which sets `player.free_at`, before it takes the next one.
    """
    waiting: list[tuple[int, int, Player]] = []
    turn = count()
    for day in count():
        for player in _arriving(world, day):
            heappush(waiting, (player.first_seen, next(turn), player))
        while waiting and waiting[0][0] < world.midnight(day + 1):
            start, _, player = heappop(waiting)
            yield start, player
            again = next_visit(world, player)
            if again is not None:
                heappush(waiting, (again, next(turn), player))


def next_visit(world: World, player: Player) -> int | None:
    """Throw when a player whose sitting just ended plays again, microseconds UTC; None is never.

    Over all players, the shares of those who are back on a day follow the published retention.
    """
    now, dice = player.free_at, player.dice
    day = world.day_of(now)
    if player.bot:
        return now + BOT_PAUSE if day < player.first_day + BOT_DAYS else None
    if dice.random() < AGAIN_TODAY:
        soon = now + HOUR // 2 + int(dice.expovariate(0.5) * HOUR)
        if soon < world.midnight(day + 1):
            return soon
    pull, since = _pull(), day - player.first_day
    # One throw for all days to come: the first day by which their pull, added up, is strong enough.
    appetite = player.stickiness * 2 ** (SUCCESS_DRAWS * player.skill - DRAW_ON_AVERAGE) * world.lure(day)
    later = bisect_left(pull, pull[since] + dice.expovariate(1.0) / appetite)
    if later >= len(pull):
        return None
    back = player.first_day + later
    # The day on which clocks go forward has 23 hours.
    return min(world.midnight(back) + time_of_day(dice, player.clock_hours), world.midnight(back + 1) - SECOND)


@cache
def _pull() -> list[float]:
    """Add up, from day 0, how strongly each later day draws a player of average stickiness back."""
    shares = (DAY_ONE * day**-DECAY for day in range(1, FAR))
    return list(accumulate((STICKINESS_SHAPE * ((1 - s) ** (-1 / STICKINESS_SHAPE) - 1) for s in shares), initial=0.0))


def born(world: World) -> Iterator[Player]:
    """Make the players of a world one after the other, bots left out."""
    for day in range(world.days):
        yield from (player for player in _arriving(world, day) if not player.bot)


def _arriving(world: World, day: int) -> Iterator[Player]:
    for index in range(_arrived_before(world, day), _arrived_before(world, day + 1)):
        yield _with_profile(world, make_player(world, index, day))
    if world.drift_day is not None and world.scenario == "bot-wave" and day == world.drift_day:
        for index in range(max(1, world.players // 50)):
            yield _with_profile(world, make_bot(world, index, day))


def _with_profile(world: World, player: Player) -> Player:
    player.profile = profile(player, levels=world.levels(player.first_day))
    return player


def _arrived_before(world: World, day: int) -> int:
    """Count the players who are seen before a day: more on the first ones, when all who played before are seen anew."""
    return round(world.players * _arrived(world.days, day))


@cache
def _arrived(days: int, day: int) -> float:
    def until(end: int) -> float:
        return sum(1 + 2.2 * exp(-one / 14) for one in range(end))

    return until(day) / until(days)
