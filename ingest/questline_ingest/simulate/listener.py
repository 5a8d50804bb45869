"""Follow a sitting without writing its events, to learn what a player does in one of many possible futures."""

from __future__ import annotations

from questline_ingest.simulate.players import Player
from questline_ingest.simulate.recorder import HIGHEST, LOWEST
from questline_ingest.simulate.wire import Piece
from questline_ingest.simulate.world import World


class Listener:
    """Follows a sitting without writing: counts events, and remembers what was spent when."""

    def __init__(self, world: World, player: Player, start: int) -> None:
        """Follow a sitting; the player's dice fall exactly as they do before a `Recorder`."""
        del world, start
        player.sittings += 1
        player.dice.randrange(LOWEST, HIGHEST - 100_000)
        player.dice.random()
        player.dice.about(0.9, 1.0)
        self.player, self.written = player, 0
        self.times: list[int] = []
        """When each event happened."""
        self.engaged: list[int] = []
        """When each `user_engagement` happened."""
        self.spends: list[tuple[int, int]] = []
        """When extra steps were bought, and how many."""
        self.fate_after = -1
        """After this event of the player (the first is 0) the dice are changed; never when negative."""
        self.fate = 0
        """Seed of the dice from then on."""

    def automatic(self, event_name: str, time: int, params: Piece = b"", value: Piece = b"") -> None:
        """See `Record`."""
        del params, value
        if event_name == "user_engagement":
            self.engaged.append(time)
        self._count(time)

    def tagged(self, event_name: str, time: int, params: Piece = b"") -> None:
        """See `Record`."""
        del event_name, params
        self._count(time)

    def enter(self, screen: str, time: int) -> None:
        """See `Record`."""
        del screen
        self._count(time)

    def leave(self) -> None:
        """See `Record`."""

    def number(self, key: str, value: int) -> Piece:
        """See `Record`."""
        del key, value
        return b""

    def spent(self, time: int, steps: int) -> None:
        """See `Record`."""
        self.spends.append((time, steps))

    def _count(self, time: int) -> None:
        count = self.player.events
        self.times.append(time + count % 1_000)
        self.written += 1
        self.player.events = count + 1
        if count == self.fate_after:
            self.player.dice.seed(self.fate)
