"""When a player spends virtual currency, and how much: habits that a model can learn from what came before."""

from __future__ import annotations

from math import exp

from questline_ingest.simulate.players import Player, Spending
from questline_ingest.simulate.world import DAY

MOST_STEPS = 20
"""The game sells 1 to 20 extra steps at once."""
SURELY = 0.9
DEAR = 0.6
"""After the price went up, players give in to so much of their urge."""
DEAR_STEPS = 1.5
"""The same help then costs so much more."""


def chance_to_spend(player: Player, now: int) -> float:
    """Tell how likely this player buys extra steps in a moment of need.

    More after fails in a row, for two days after the last time, while what the game gave at the start is fresh, on
    iPhones, and in richer places.
    """
    urge = player.urge * (1 + 0.5 * min(player.fails_in_a_row, 6))
    if player.last_spend:
        urge *= 1 + 2.0 * exp((player.last_spend - now) / (2 * DAY))
    if now - player.first_touch < DAY:
        urge *= 1.6
    return min(urge, SURELY)


def steps_wanted(player: Player) -> float:
    """Throw how many steps a player buys at once: whales take more, and so does who is on a high level or unskilled."""
    return player.usual_steps * (1 + player.level / 90) * 2 ** (-0.3 * player.skill) * player.dice.about(1, 0.25)


def daily_steps(player: Player) -> int:
    """Tell to how many steps a player's purse is filled up on a day of play."""
    return {Spending.NEVER: 0, Spending.MINNOW: 0, Spending.WHALE: 3 * MOST_STEPS}[player.spending]
