"""Who plays: a player's lasting traits, drawn once, and the running state that sittings change."""

from __future__ import annotations

from bisect import bisect
from dataclasses import dataclass, field, replace
from enum import Enum
from itertools import accumulate

from questline_ingest.simulate.dice import Dice
from questline_ingest.simulate.places import Place, draw_place
from questline_ingest.simulate.wire import Piece
from questline_ingest.simulate.world import DAY, HOUR, SECOND, World

NEWCOMERS = 0.285
"""Share of players who install during the history (published: 4,322 `first_open` of 15,175); the others came before."""
IPHONES = 0.48
STICKINESS_SHAPE = 0.35
"""Shape of the gamma distribution of stickiness (mean 1): small means a few faithful players and many passers-by."""
ENDURANCE, ENDURANCE_SPREAD = 23, 1.1
"""Median over players of the median number of events in a sitting, and the spread of its logarithm."""
STICKY_PLAYS_MORE = 0.5
"""Who comes back more also plays longer."""
BOT_ENDURANCE = 250.0
LEVELS = 30
PROPERTY_HOURS = -7
"""What the property's summer clock is off UTC by; the hour of winter does not matter for who plays when."""
HOURS = (13, 9, 5, 3, 2, 2, 4, 6, 8, 10, 10, 11, 12, 12, 12, 13, 14, 15, 15, 16, 17, 18, 18, 17)
"""How much is played in each hour of the player's own clock."""
_HOURS_SO_FAR = tuple(accumulate(HOURS))


class Spending(Enum):
    """How a player is inclined to spend: share of players, chance at a usual moment of need, usual steps at once."""

    NEVER = (0.47, 0.0, 1.0)
    MINNOW = (0.42, 0.04, 1.6)
    WHALE = (0.11, 0.12, 7.0)

    def __init__(self, share: float, urge: float, steps: float) -> None:
        self.share, self.urge, self.steps = share, urge, steps


@dataclass(slots=True, kw_only=True, eq=False)
class Player:
    """One player of the game."""

    dice: Dice
    """The only source of chance for this player, so that no other player changes this one's history."""
    key: str
    """Sixteen hexadecimal digits that begin each of the player's event ids."""
    pseudo_id: str
    place: Place
    clock_hours: float
    """Hours from UTC that the device shows."""
    clock_error: int
    """What the device's clock is wrong by, microseconds."""
    on_iphone: bool
    newcomer: bool
    """Installed in this history."""
    first_day: int
    """Number of the day of the first sitting."""
    first_seen: int
    """Start of the first sitting of this history, microseconds UTC."""
    first_touch: int
    """First start of the app ever, microseconds UTC."""
    stickiness: float
    """How strongly the player comes back, 1 on average."""
    endurance: float
    """Median number of events after which a sitting is enough."""
    skill: float
    """0 is average, 1 a standard deviation better."""
    patience: float
    """Chance to go on after a usual failure."""
    spending: Spending
    usual_steps: float
    """How many steps the player usually buys at once."""
    urge: float
    """Chance to buy steps at a usual moment of need."""
    limited: bool
    """Did not agree to be treated differently from others."""
    likes_progressive: float
    """Share of rounds played level by level instead of as quick play."""
    first_steps: int
    """Extra steps that the game gave at the start."""

    bot: bool = False
    profile: Piece = b""
    """What each of the player's events carries."""
    level: int = 1
    fails_in_a_row: int = 0
    steps: int = 0
    """Extra steps that are left."""
    last_spend: int = 0
    completed: int = 0
    free_at: int = 0
    """When the last sitting ended."""
    sittings: int = 0
    events: int = 0
    previous: dict[str, Piece] = field(default_factory=dict)
    """The field that tells the time of the latest event, for each name."""


def make_player(world: World, index: int, first_day: int) -> Player:
    """Make player number `index` of this world, who is first seen on day number `first_day`."""
    key = world.key(index)
    dice = Dice(key)
    place = draw_place(dice)
    clock_hours = dice.choice(place.clocks)
    first_seen = _first_seen(world, first_day, dice, clock_hours)
    newcomer = dice.happens(NEWCOMERS)
    stickiness = dice.gammavariate(STICKINESS_SHAPE, 1 / STICKINESS_SHAPE)
    first_steps = dice.choice((3, 3, 5, 10, 20))
    spending = dice.choices(list(Spending), [kind.share for kind in Spending])[0]
    on_iphone = dice.happens(IPHONES)
    return Player(
        dice=dice,
        key=key[:16],
        pseudo_id=key[32:].upper(),
        place=place,
        clock_hours=clock_hours,
        clock_error=_clock_error(dice),
        on_iphone=on_iphone,
        newcomer=newcomer,
        first_day=first_day,
        first_seen=first_seen,
        first_touch=first_seen - (0 if newcomer else int(dice.expovariate(1 / (200 * DAY)))),
        stickiness=stickiness,
        endurance=dice.about(ENDURANCE, ENDURANCE_SPREAD) * (1 + STICKY_PLAYS_MORE * min(stickiness, 4.0)),
        skill=dice.gauss(0, 1),
        patience=dice.betavariate(6, 2),
        spending=spending,
        usual_steps=dice.about(spending.steps, 0.45),
        urge=dice.about(max(spending.urge, 1e-9), 0.5) * place.spending * (1.4 if on_iphone else 0.65),
        limited=dice.happens(0.17),
        likes_progressive=dice.betavariate(0.5, 2.9),
        first_steps=first_steps,
        level=1 if newcomer else dice.randint(1, LEVELS),
        steps=first_steps,
    )


def make_bot(world: World, index: int, first_day: int) -> Player:
    """Make a program that plays: round the clock, tireless, without a purse. Its user property `bot` is "true"."""
    key = world.key(f"bot {index}")
    bot = make_player(world, index, first_day)
    dice = Dice(key)
    return replace(
        bot,
        dice=dice,
        key=key[:16],
        pseudo_id=key[32:].upper(),
        first_seen=world.midnight(first_day) + dice.randrange(0, 2 * HOUR),
        newcomer=True,
        endurance=BOT_ENDURANCE,
        patience=1.0,
        spending=Spending.NEVER,
        urge=0.0,
        likes_progressive=0.0,
        bot=True,
    )


def _first_seen(world: World, first_day: int, dice: Dice, clock_hours: float) -> int:
    moment = world.midnight(first_day) + time_of_day(dice, clock_hours)
    # The last day ends at 00:00 UTC, before its midnight: who arrives on it does so in time.
    if first_day == world.days - 1:
        moment = world.midnight(first_day) + (moment - world.midnight(first_day)) % (
            world.end - world.midnight(first_day)
        )
    return min(moment, world.midnight(first_day + 1) - SECOND)


def time_of_day(dice: Dice, clock_hours: float) -> int:
    """Throw when in a day a player with this clock plays: microseconds after the property's midnight."""
    own_hour = bisect(_HOURS_SO_FAR, dice.random() * _HOURS_SO_FAR[-1]) + dice.random()
    return int((own_hour - clock_hours + PROPERTY_HOURS) % 24 * 3_600) * SECOND


def _clock_error(dice: Dice) -> int:
    """Most devices are right to some seconds; one in a hundred is wrong by days or years, as in the real rows."""
    if dice.happens(0.01):
        return int(dice.choice((-58, -3, 1, 30, 365, 17_532)) * dice.random() * DAY)
    return int(dice.gauss(0, 2) * SECOND)
