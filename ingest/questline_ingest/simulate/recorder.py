"""Turn what a player does into telemetry events, each with an id that follows from world, player and count."""

from __future__ import annotations

from dataclasses import dataclass, field

from questline_core.pb.telemetry_pb2 import Event
from questline_ingest.simulate.parts import Piece, double, name, text, whole
from questline_ingest.simulate.players import Player
from questline_ingest.simulate.world import SECOND, World

LOWEST, HIGHEST = -(2**63), 2**63
"""Range of screen ids."""
BEFORE = 40 * 3_600 * SECOND
"""How long before this history a player of old last did what the history shows a first time."""
EVENTS_A_BUNDLE = 12
"""The client uploads so many events together, about."""


@dataclass(slots=True, kw_only=True, eq=False)
class Recorder:
    """Writes down one sitting of one player, in order of time."""

    player: Player
    dates: tuple[str, str]
    """`event_date` before and after `midnight`."""
    midnight: int
    session_id: str
    screen_id: int
    """The first screen's id; the client counts up from it."""
    in_doubles: bool
    """Tagged events carry their whole numbers in the double slot, screen ids included, as many real rows do."""
    server_offset: int
    """Upload minus event time by two clocks, microseconds."""
    events: list[Event] = field(default_factory=list)
    screen: Piece = b""
    screen_as_double: Piece = b""
    _last_screen: str | None = None

    def automatic(self, event_name: str, time: int, *params: Piece) -> None:
        """Write an event that the client's library sends by itself."""
        self._write(event_name, time, text("firebase_event_origin", "auto"), self.screen, *params)

    def tagged(self, event_name: str, time: int, *params: Piece) -> None:
        """Write an event that the game sends."""
        screen = self.screen_as_double if self.in_doubles else self.screen
        self._write(event_name, time, text("firebase_event_origin", "app+gtm"), screen, *params)

    def enter(self, screen: str, time: int) -> None:
        """Show a screen: write `screen_view` and name this screen in the events that follow."""
        came_from = b""
        if self._last_screen is not None:
            last, last_id = self._last_screen, self.screen_id
            came_from = text("firebase_previous_class", last) + whole("firebase_previous_id", last_id)
        self.screen_id += 1
        self._last_screen = screen
        seen = text("firebase_screen_class", screen)
        self.screen = seen + whole("firebase_screen_id", self.screen_id)
        self.screen_as_double = seen + double("firebase_screen_id", float(self.screen_id))
        self.automatic("screen_view", time, came_from)

    def leave(self) -> None:
        """Close the app: no screen is shown any more."""
        self.screen = self.screen_as_double = b""

    def number(self, key: str, value: int) -> Piece:
        """Make a param with a whole number, in the slot that this device uses."""
        return double(key, float(value)) if self.in_doubles else whole(key, value)

    def _write(self, event_name: str, time: int, *params: Piece) -> None:
        player = self.player
        count = player.events
        player.events += 1
        if count % EVENTS_A_BUNDLE == 0:
            player.bundle += 1
        time += count % 1_000  # the client tells events of one millisecond apart by counting up
        event = Event.FromString(b"".join((player.profile, name(event_name), *params)))
        event.event_id = f"{player.key}-{count}"
        event.session_id = self.session_id
        event.client_time = time + player.clock_error
        event.event_date = self.dates[time >= self.midnight]
        event.event_timestamp = time
        event.event_bundle_sequence_id = player.bundle
        event.event_server_timestamp_offset = self.server_offset
        previous = player.previous.get(event_name, 0)
        if previous or not player.newcomer:
            event.event_previous_timestamp = previous or max(player.first_touch, player.first_seen - BEFORE)
        player.previous[event_name] = time
        self.events.append(event)


def open_recorder(world: World, player: Player, start: int) -> Recorder:
    """Begin to write down a sitting of this player that starts now, microseconds UTC."""
    day = world.day_of(start)
    player.sittings += 1
    dice = player.dice
    return Recorder(
        player=player,
        dates=(world.date_text(day), world.date_text(day + 1)),
        midnight=world.midnight(day + 1),
        session_id=f"{player.key}-{player.sittings}",
        screen_id=dice.randrange(LOWEST, HIGHEST - 100_000),
        in_doubles=dice.happens(0.7),
        server_offset=int(dice.about(0.9, 1.0) * SECOND) - player.clock_error,
    )
