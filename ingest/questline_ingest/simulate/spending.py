"""When a player spends virtual currency, and how much: habits that a model can learn from what came before."""

from __future__ import annotations

from math import exp

from questline_ingest.simulate.players import Player, Spending
from questline_ingest.simulate.world import DAY

MOST_STEPS = 20
"""The game sells 1 to 20 extra steps at once."""
SURELY = 0.9


def chance_to_spend(player: Player, now: int) -> float:
    """Tell how likely this player buys extra steps in a moment of need.

    More after fails in a row, for two days after the last time, while what the game gave at the start is fresh, on
    iPhones, and in richer places.
    """
    urge = player.spending.urge * player.place.spending * (1.5 if player.on_iphone else 0.6)
    urge *= 1 + 0.7 * min(player.fails_in_a_row, 6)
    if player.last_spend:
        urge *= 1 + 2.5 * exp((player.last_spend - now) / (2 * DAY))
    if now - player.first_touch < DAY:
        urge *= 1.8
    return min(urge, SURELY)


def steps_wanted(player: Player) -> int:
    """Throw how many steps a player buys at once: whales take more, and more on high levels."""
    usual = player.spending.steps * (1 + player.level / 60)
    return max(1, min(MOST_STEPS, round(player.dice.about(usual, 0.5))))


def daily_steps(player: Player) -> int:
    """Tell to how many steps a player's purse is filled up on a day of play."""
    return {Spending.NEVER: 0, Spending.MINNOW: 0, Spending.WHALE: MOST_STEPS}[player.spending]
