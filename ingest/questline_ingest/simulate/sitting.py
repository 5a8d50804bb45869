"""One sitting of a player: rounds won and lost, screens seen, steps bought.

The shares in here are tuned so that the mix of event names is the published one.
"""

from __future__ import annotations

from questline_core.pb.telemetry_pb2 import Event
from questline_ingest.simulate.calendar import Plan
from questline_ingest.simulate.dice import Dice
from questline_ingest.simulate.parts import dollars, text, whole
from questline_ingest.simulate.players import LEVELS, Player
from questline_ingest.simulate.recorder import Recorder, open_recorder
from questline_ingest.simulate.spending import chance_to_spend, daily_steps, steps_wanted
from questline_ingest.simulate.world import World

ENGAGEMENT_MS, ENGAGEMENT_SPREAD = 3_600, 1.75
"""Median of `engagement_time_msec` and spread of its logarithm (published: p50 3.6 s, p99 214 s)."""
QUICKPLAY, PROGRESSIVE = "_quickplay", ""
"""What the names of level events end in."""
WALLS = (8, 13, 18, 24, 29)
"""Levels where many get stuck."""
MILESTONE = 5
"""Completed levels that the game tells of."""


def play(world: World, plan: Plan) -> list[Event]:
    """Let a player play one planned sitting; the events are in order of time and the player remembers what happened."""
    sitting = Sitting(plan.player, open_recorder(world, plan.player, plan.start), plan.start)
    sitting.open()
    while len(sitting.record.events) < plan.events and not sitting.tired:
        sitting.play_round()
    if plan.farewell:
        sitting.remove_app()
    plan.player.free_at = sitting.now
    return sitting.record.events


class Sitting:
    """A player at the device, and the time that passes."""

    def __init__(self, player: Player, record: Recorder, start: int) -> None:
        self.player, self.record, self.now = player, record, start
        self.tired = False
        self.mode = QUICKPLAY
        self.board = player.dice.choice("SSSML")

    @property
    def dice(self) -> Dice:
        """The player's luck."""
        return self.player.dice

    def open(self) -> None:
        """Start the app."""
        player, record = self.player, self.record
        if player.newcomer and player.sittings == 1:
            self.auto("first_open", *(whole(key, 0) for key in ("system_app", "previous_first_open_count")))
            if self.dice.happens(0.2):
                self.auto("firebase_campaign", text("source", "google-play"), text("medium", "organic"))
        elif self.dice.happens(0.037):
            self.auto("firebase_campaign", text("source", "(direct)"), text("medium", "(none)"))
        if self.dice.happens(0.042):
            self.auto("os_update", text("previous_os_version", self.dice.choice(("7.0", "8.0.0", "11.4"))))
        if self.dice.happens(0.025):
            self.auto("app_update", text("previous_app_version", "2.53"))
        self.auto("session_start", whole("firebase_conversion", 1))
        player.steps = max(player.steps, daily_steps(player))
        self.wait(0.1)
        record.enter("FIMainMenuViewController" if player.on_iphone else "MainMenuActivity", self.now)
        self.look("main_menu")

    def remove_app(self) -> None:
        """Leave for good."""
        self.wait(600)
        self.record.leave()
        self.auto("app_remove")

    def play_round(self) -> None:
        """Choose what to play, and play it once."""
        self.browse()
        self.mishaps()
        if self.dice.happens(0.35):
            self.mode = PROGRESSIVE if self.dice.happens(self.player.likes_progressive) else QUICKPLAY
        self.look("game_board")
        if self.mode == QUICKPLAY:
            self.round(resets=0.234, gives_up=0.1, retries=0.22)
        else:
            self.round(resets=0.115, gives_up=0.152, retries=0.9)

    def browse(self) -> None:
        """Look around between two rounds."""
        for _ in range(self.dice.choice((1, 1, 2, 3, 4))):
            self.look(self.dice.choice(("main_menu", "main_menu", "game_over", "shop_menu")))
        if self.dice.happens(0.17):
            chosen = "mode" if self.dice.happens(0.7) else "board"
            item = self.board if chosen == "board" else "quickplay"
            self.tagged("select_content", text("content_type", chosen), text("item_id", item))

    def mishaps(self) -> None:
        """Things that happen to anyone, rarely."""
        if self.dice.happens(0.0086):
            self.auto("app_exception", whole("fatal", 1), whole("timestamp", self.now // 1_000))
        if self.dice.happens(0.0029):
            self.auto("error")
        if self.dice.happens(0.0009):
            self.tagged("challenge_a_friend")

    def round(self, *, resets: float, gives_up: float, retries: float) -> None:
        """Play one board to its end, or not."""
        self.level_event("start")
        self.wait(self.dice.about(25, 0.6))
        fate = self.dice.random()
        if fate < resets:
            self.level_event("reset")
            self.retry(1 if self.mode == PROGRESSIVE else 0)
            return
        if fate < resets + gives_up:
            self.retry(retries if self.mode == PROGRESSIVE else 0)
            return
        lost = self.fails() and not self.saved_by_steps()
        self.level_event("end")
        if lost:
            self.fail(retries)
        elif self.dice.happens(0.93):
            self.win()

    def fails(self) -> bool:
        """Run out of moves."""
        player = self.player
        hardness = 0.43 if self.mode == QUICKPLAY else 0.31 * (1.7 if player.level in WALLS else 0.9)
        return self.dice.happens(min(0.9, hardness * 2 ** (-0.6 * player.skill)))

    def saved_by_steps(self) -> bool:
        """Perhaps buy extra steps when moves run out; tell whether they were enough."""
        player = self.player
        if not self.dice.happens(chance_to_spend(player, self.now)):
            return False
        if player.steps < 1 and not self.filled_purse():
            return False
        steps = min(player.steps, steps_wanted(player))
        bought = (
            text("item_name", self.item),
            text("virtual_currency_name", "steps"),
            self.record.number("value", steps),
        )
        self.tagged("spend_virtual_currency", *bought)
        if self.dice.happens(0.955):
            self.tagged("use_extra_steps", *bought)
        player.steps -= steps
        player.last_spend = self.now
        return self.dice.happens(0.6)

    def filled_purse(self) -> bool:
        """Find the purse empty; perhaps fill it by an advertisement or, very rarely, with money."""
        self.tagged("no_more_extra_steps", self.record.number("value", self.dice.randint(20, 30)))
        if self.dice.happens(0.7):
            self.wait(30)
            self.auto("ad_reward", text("type", "Steps"), whole("value", 5))
            self.player.steps += 5
        elif self.dice.happens(0.02):
            self.auto("in_app_purchase", text("product_id", "steps_20"), whole("quantity", 1), dollars(0.99))
            self.player.steps += 20
        return self.player.steps > 0

    def fail(self, retries: float) -> None:
        """Lose the round; whoever has little patience stops after some of these."""
        player = self.player
        player.fails_in_a_row += 1
        self.level_event("fail")
        if self.dice.happens(0.14):
            self.post_score()
        self.look("game_over")
        self.tired = self.dice.happens((1 - player.patience) * 0.15 * min(player.fails_in_a_row, 4))
        self.retry(retries)

    def win(self) -> None:
        """Win the round; in progressive play the next level opens."""
        player = self.player
        player.fails_in_a_row = 0
        moves = self.dice.randint(17, 34)
        self.level_event("complete", self.record.number("value", moves))
        self.post_score()
        if self.mode == PROGRESSIVE:
            self.level_up()
            self.retry(0.25)

    def post_score(self) -> None:
        """Send the score of the round to the ranking."""
        score = self.record.number("score", int(self.dice.expovariate(0.4)))
        self.tagged("post_score", score, self.record.number("time", 0), *self.level_params(numbered=True))

    def level_up(self) -> None:
        """Reach the next level and its gift of a step."""
        player = self.player
        self.level_event("up")
        player.completed += 1
        player.steps += 1
        player.level = player.level % LEVELS + 1
        if player.completed == MILESTONE:
            self.tagged("completed_5_levels")

    def retry(self, share: float) -> None:
        """Perhaps press retry."""
        if self.dice.happens(share):
            self.level_event("retry")

    @property
    def item(self) -> str:
        """What bought steps are for: the level, 0 for quick play."""
        return "0" if self.mode == QUICKPLAY else str(self.player.level)

    def level_event(self, what: str, *params: bytes) -> None:
        """Write level_start, level_end and the like, in the words of the mode."""
        self.tagged(f"level_{what}{self.mode}", *self.level_params(numbered=self.mode == PROGRESSIVE), *params)

    def level_params(self, *, numbered: bool) -> tuple[bytes, ...]:
        """Name the board of a quick play, or the level."""
        if numbered:
            return (self.record.number("level", int(self.item)), text("level_name", f"level_{self.item}"))
        return (text("board", self.board),)

    def look(self, screen: str) -> None:
        """See a screen for a while."""
        self.wait(0.1)
        self.record.enter(screen, self.now)
        engaged_ms = int(self.dice.about(ENGAGEMENT_MS, ENGAGEMENT_SPREAD))
        self.wait(min(engaged_ms, 3_600_000) / 1_000)
        if self.dice.happens(0.635):
            self.auto("user_engagement", whole("engagement_time_msec", engaged_ms))

    def auto(self, name: str, *params: bytes) -> None:
        """Write an event of the client's library."""
        self.wait(0.2)
        self.record.automatic(name, self.now, *params)

    def tagged(self, name: str, *params: bytes) -> None:
        """Write an event of the game."""
        self.wait(0.3)
        self.record.tagged(name, self.now, *params)

    def wait(self, seconds: float) -> None:
        """Let time pass, to the millisecond."""
        self.now += int(seconds * 1_000) * 1_000
