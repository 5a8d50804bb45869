"""One sitting of a player: rounds won and lost, screens seen, steps bought.

The shares in here are tuned so that the mix of event names is the published one.
"""

from __future__ import annotations

from math import exp
from statistics import NormalDist

from questline_core.pb.telemetry_pb2 import Event
from questline_ingest.simulate.dice import Dice
from questline_ingest.simulate.players import Player
from questline_ingest.simulate.recorder import Record
from questline_ingest.simulate.spending import DEAR, DEAR_STEPS, MOST_STEPS, chance_to_spend, daily_steps, steps_wanted
from questline_ingest.simulate.wire import Piece, encoded, text, whole
from questline_ingest.simulate.world import World

QUICKPLAY, PROGRESSIVE = "_quickplay", ""
"""What the names of level events end in."""
WALLS = (8, 13, 18, 24, 29)
"""Levels where many get stuck."""
MILESTONE = 5
"""Completed levels that the game tells of."""
EVENTS_A_SITTING_MOST = 400
"""No sitting has many more events: the far tail of the published distribution is cut, so that a history stays small."""
ENERGY_SPREAD = 0.6
"""How the energy of one player differs from sitting to sitting, as the spread of its logarithm."""
ENGAGED_SHARE = 0.605
"""Share of screens that the client's library reports as engaged with."""
MS = 1_000
"""Microseconds in a millisecond."""
_SPREADS = [NormalDist().inv_cdf((step + 0.5) / 4096) for step in range(4096)]
_ENGAGED = [
    (ms, whole.__wrapped__("engagement_time_msec", ms))
    for ms in (min(int(3_600 * exp(1.75 * z)), 3_600_000) for z in _SPREADS)
]
"""Times of engagement, equally likely; published: p50 3.6 s, p99 214 s."""
_THINKING = [int(6_000 * exp(0.6 * z)) * MS for z in _SPREADS]
"""How long a round takes, equally likely, microseconds."""
_DOLLAR = encoded(Event(event_value_in_usd=0.99))


def play(world: World, player: Player, record: Record, start: int) -> None:
    """Let a player play one sitting, which the record takes down in order of time; the player remembers it."""
    sitting = Sitting(world, player, record, start)
    sitting.open()
    sitting.go_on()


class Sitting:
    """A player at the device, and the time that passes."""

    def __init__(self, world: World, player: Player, record: Record, start: int) -> None:
        day = world.day_of(start)
        self.player, self.record, self.now = player, record, start
        self.dear, self.levels = world.drifted("price-change", day), world.levels(day)
        self.tired = False
        self.board = player.dice.choice("SSSML")
        self.energy = player.dice.about(player.endurance, ENERGY_SPREAD)
        self.likes_progressive = 0.8 if self.levels > 30 else player.likes_progressive  # noqa: PLR2004 - new ones
        self.mode = QUICKPLAY

    @property
    def dice(self) -> Dice:
        """The player's luck."""
        return self.player.dice

    def open(self) -> None:
        """Start the app."""
        player, dice = self.player, self.dice
        if player.newcomer and player.sittings == 1:
            self.auto("first_open", whole("system_app", 0) + whole("previous_first_open_count", 0))
            if dice.happens(0.2):
                self.auto("firebase_campaign", text("source", "google-play") + text("medium", "organic"))
        elif dice.happens(0.05):
            self.auto("firebase_campaign", text("source", "(direct)") + text("medium", "(none)"))
        if dice.happens(0.046):
            self.auto("os_update", text("previous_os_version", dice.choice(("7.0", "8.0.0", "11.4"))))
        if dice.happens(0.034):
            self.auto("app_update", text("previous_app_version", "2.53"))
        self.auto("session_start", whole("firebase_conversion", 1))
        player.steps = max(player.steps, daily_steps(player))
        self.look("FIMainMenuViewController" if player.on_iphone else "MainMenuActivity")

    def go_on(self) -> None:
        """Play rounds until it is enough; how long that takes is not known before, only how likely an end is."""
        player, record, random = self.player, self.record, self.dice.random
        before = 0
        while not self.tired and record.written < EVENTS_A_SITTING_MOST:
            if random() > exp((before - record.written) / self.energy):
                break
            before = record.written
            self.play_round()
        if not player.bot and random() < 0.035:  # noqa: PLR2004
            self.remove_app()
        player.free_at = self.now

    def remove_app(self) -> None:
        """Remove the app; some put it back later."""
        self.now += 600_000 * MS
        self.record.leave()
        self.auto("app_remove")

    def play_round(self) -> None:
        """Choose what to play, and play it once."""
        random = self.dice.random
        self.browse()
        if random() < 0.0124:  # noqa: PLR2004
            self.mishap()
        if random() < 0.35:  # noqa: PLR2004
            self.mode = PROGRESSIVE if random() < self.likes_progressive else QUICKPLAY
        self.look("game_board")
        if self.mode is QUICKPLAY:
            self.round(resets=0.234, gives_up=0.1, retries=0.22)
        else:
            self.round(resets=0.115, gives_up=0.152, retries=0.9)

    def browse(self) -> None:
        """Look around between two rounds."""
        random = self.dice.random
        for _ in range((1, 1, 2, 3, 4)[int(random() * 5)]):
            self.look(("main_menu", "main_menu", "game_over", "shop_menu")[int(random() * 4)])
        if random() < 0.17:  # noqa: PLR2004
            if random() < 0.7:  # noqa: PLR2004
                self.tagged("select_content", text("content_type", "mode") + text("item_id", "quickplay"))
            else:
                self.tagged("select_content", text("content_type", "board") + text("item_id", self.board))

    def mishap(self) -> None:
        """Something that happens to anyone, rarely."""
        what = self.dice.random()
        if what < 0.69:  # noqa: PLR2004
            stamp = whole.__wrapped__("timestamp", self.now // MS)
            self.auto("app_exception", whole("fatal", 1) + stamp)
        elif what < 0.93:  # noqa: PLR2004
            self.auto("error")
        else:
            self.tagged("challenge_a_friend")

    def round(self, *, resets: float, gives_up: float, retries: float) -> None:
        """Play one board to its end, or not."""
        random = self.dice.random
        self.level_event("start")
        self.now += _THINKING[int(random() * 4096)]
        fate = random()
        if fate < resets:
            self.level_event("reset")
            self.retry(1 if self.mode is PROGRESSIVE else 0)
            return
        if fate < resets + gives_up:
            self.retry(retries if self.mode is PROGRESSIVE else 0)
            return
        lost = self.fails() and not self.saved_by_steps()
        self.level_event("end")
        if lost:
            self.fail(retries)
        elif random() < 0.93:  # noqa: PLR2004
            self.win()

    def fails(self) -> bool:
        """Run out of moves."""
        player = self.player
        hardness = 0.43 if self.mode is QUICKPLAY else 0.31 * (1.7 if player.level in WALLS else 0.9)
        return self.dice.random() < min(0.9, hardness * 2 ** (-0.6 * player.skill))

    def saved_by_steps(self) -> bool:
        """Perhaps buy extra steps when moves run out; tell whether they were enough."""
        player = self.player
        urge = chance_to_spend(player, self.now) * (DEAR if self.dear else 1)
        if self.dice.random() > urge:
            return False
        if player.steps < 1 and not self.filled_purse():
            return False
        wanted = steps_wanted(player) * (DEAR_STEPS if self.dear else 1)
        steps = max(1, min(MOST_STEPS, round(wanted), player.steps))
        bought = text("item_name", self.item) + text("virtual_currency_name", "steps")
        bought += self.record.number("value", steps)
        self.tagged("spend_virtual_currency", bought)
        self.record.spent(self.now, steps)
        if self.dice.random() < 0.955:  # noqa: PLR2004
            self.tagged("use_extra_steps", bought)
        player.steps -= steps
        player.last_spend = self.now
        return self.dice.random() < 0.6  # noqa: PLR2004

    def filled_purse(self) -> bool:
        """Find the purse empty; perhaps fill it by an advertisement or, very rarely, with money."""
        self.tagged("no_more_extra_steps", self.record.number("value", self.dice.randint(20, 30)))
        if self.dice.happens(0.7):
            self.now += 30_000 * MS
            self.auto("ad_reward", text("type", "Steps") + whole("value", 5))
            self.player.steps += 5
        elif self.dice.happens(0.02):
            self.auto("in_app_purchase", text("product_id", "steps_20") + whole("quantity", 1), _DOLLAR)
            self.player.steps += 20
        return self.player.steps > 0

    def fail(self, retries: float) -> None:
        """Lose the round; whoever has little patience stops after some of these."""
        player, random = self.player, self.dice.random
        player.fails_in_a_row += 1
        self.level_event("fail")
        if random() < 0.14:  # noqa: PLR2004
            self.post_score()
        self.look("game_over")
        self.tired = random() < (1 - player.patience) * 0.15 * min(player.fails_in_a_row, 4)
        self.retry(retries)

    def win(self) -> None:
        """Win the round; in progressive play the next level opens."""
        player = self.player
        player.fails_in_a_row = 0
        self.level_event("complete", self.record.number("value", 17 + int(self.dice.random() * 18)))
        self.post_score()
        if self.mode is PROGRESSIVE:
            self.level_up()
            self.retry(0.25)

    def post_score(self) -> None:
        """Send the score of the round to the ranking."""
        record = self.record
        score = record.number("score", int(self.dice.expovariate(0.4)))
        self.tagged("post_score", score + record.number("time", 0) + self.level_params(numbered=True))

    def level_up(self) -> None:
        """Reach the next level and its gift of a step."""
        player = self.player
        self.level_event("up")
        player.completed += 1
        player.steps += 1
        player.level = player.level % self.levels + 1
        if player.completed == MILESTONE:
            self.tagged("completed_5_levels")

    def retry(self, share: float) -> None:
        """Perhaps press retry."""
        if share and self.dice.random() < share:
            self.level_event("retry")

    @property
    def item(self) -> str:
        """What bought steps are for: the level, 0 for quick play."""
        return "0" if self.mode is QUICKPLAY else str(self.player.level)

    def level_event(self, what: str, params: Piece = b"") -> None:
        """Write level_start, level_end and the like, in the words of the mode."""
        mode = self.mode
        self.tagged(f"level_{what}{mode}", self.level_params(numbered=mode is PROGRESSIVE) + params)

    def level_params(self, *, numbered: bool) -> Piece:
        """Name the board of a quick play, or the level."""
        if numbered:
            item = self.item
            return self.record.number("level", int(item)) + text("level_name", f"level_{item}")
        return text("board", self.board)

    def look(self, screen: str) -> None:
        """See a screen for a while."""
        player = self.player
        random = player.dice.random
        self.now += 100 * MS
        self.record.enter(screen, self.now)
        engaged_ms, told = _ENGAGED[int(random() * 4096)]
        self.now += engaged_ms * MS
        if random() < ENGAGED_SHARE and not player.bot:
            self.auto("user_engagement", told)

    def auto(self, name: str, params: Piece = b"", value: Piece = b"") -> None:
        """Write an event of the client's library."""
        self.now += 200 * MS
        self.record.automatic(name, self.now, params, value)

    def tagged(self, name: str, params: Piece = b"") -> None:
        """Write an event of the game."""
        self.now += 300 * MS
        self.record.tagged(name, self.now, params)
