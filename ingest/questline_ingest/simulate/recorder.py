"""Turn what a player does into the bytes of events, each with an id that follows from world, player and count."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Protocol

from questline_core.events.checks import ORIGIN_GENERATED
from questline_core.pb.telemetry_pb2 import Consent, Event
from questline_ingest.simulate.players import Player
from questline_ingest.simulate.wire import (
    TWO_BYTES,
    Piece,
    before_digits,
    double,
    encoded,
    high,
    moment,
    named,
    text,
    varint,
    whole,
)
from questline_ingest.simulate.world import SECOND, World

LOWEST, HIGHEST = -(2**63), 2**63
"""Range of screen ids."""
BEFORE = 40 * 3_600 * SECOND
"""How long before this history a player of old last did what the history shows a first time."""
EVENTS_A_BUNDLE = 12
"""The client uploads so many events together, about."""
CLIENT_TIME, TIMESTAMP, PREVIOUS, BUNDLE = b"\x20", b"\x58", b"\x70", b"\x80\x01"
"""What stands before these four numbers on the wire: the numbers of their fields in `telemetry.proto`."""

_SCREEN_VIEW = named("screen_view", "auto")


class Record(Protocol):
    """Takes down what happens in a sitting."""

    written: int
    """How many events so far."""

    def automatic(self, event_name: str, time: int, params: Piece = b"", value: Piece = b"") -> None:
        """Write an event that the client's library sends by itself; `value` is its worth in US dollars."""

    def tagged(self, event_name: str, time: int, params: Piece = b"") -> None:
        """Write an event that the game sends."""

    def enter(self, screen: str, time: int) -> None:
        """Show a screen: write `screen_view` and name this screen in the events that follow."""

    def leave(self) -> None:
        """Close the app: no screen is shown any more."""

    def number(self, key: str, value: int) -> Piece:
        """Make a param with a whole number, in the slot that this device uses."""

    def spent(self, time: int, steps: int) -> None:
        """Take note that extra steps were bought."""


class Recorder:
    """Writes down one sitting of one player, in order of time, as serialized events."""

    def __init__(self, world: World, player: Player, start: int, *, upload_delay: int = 0) -> None:
        """Begin to write down a sitting that starts now (microseconds UTC) and is uploaded so much later."""
        player.sittings += 1
        day, dice = world.day_of(start), player.dice
        self.player, self.written = player, 0
        self.events: list[tuple[int, bytes]] = []
        self._midnight = world.midnight(day + 1)
        self._screen_id = dice.randrange(LOWEST, HIGHEST - 100_000)
        self._in_doubles = dice.random() < 0.7  # noqa: PLR2004
        offset = int(dice.about(0.9, 1.0) * SECOND) + upload_delay - player.clock_error
        self._before_client_time = _session(world.title, f"{player.key}-{player.sittings}")
        personal = not player.limited
        self._days = tuple(_day(world.date_text(one), personal) + TIMESTAMP for one in (day, day + 1))
        self._tail = encoded(Event(event_server_timestamp_offset=offset)) + player.profile
        self._ids = tuple(b"\n" + bytes((17 + digits,)) + player.key.encode() + b"-" for digits in range(10))
        self._screen = self._screen_as_double = self._last = b""

    def automatic(self, event_name: str, time: int, params: Piece = b"", value: Piece = b"") -> None:
        """See `Record`."""
        self._write(event_name, named(event_name, "auto"), self._screen, params, time, value)

    def tagged(self, event_name: str, time: int, params: Piece = b"") -> None:
        """See `Record`."""
        screen = self._screen_as_double if self._in_doubles else self._screen
        self._write(event_name, named(event_name, "app+gtm"), screen, params, time, b"")

    def enter(self, screen: str, time: int) -> None:
        """See `Record`."""
        came_from = self._last
        self._screen_id += 1
        digits = varint(self._screen_id)
        seen, left = _screens(screen, len(digits))
        self._screen = seen + digits
        if self._in_doubles:
            self._screen_as_double = text("firebase_screen_class", screen) + double(
                "firebase_screen_id", float(self._screen_id)
            )
        self._last = left + digits
        self._write("screen_view", _SCREEN_VIEW, self._screen, came_from, time, b"")

    def leave(self) -> None:
        """See `Record`."""
        self._screen = self._screen_as_double = b""

    def number(self, key: str, value: int) -> Piece:
        """See `Record`."""
        return double(key, float(value)) if self._in_doubles else whole(key, value)

    def spent(self, time: int, steps: int) -> None:
        """See `Record`: the event itself tells it."""

    def _write(  # noqa: PLR0913, PLR0917 - called for every event: pieces are joined once
        self, event_name: str, name: Piece, screen: Piece, params: Piece, time: int, value: Piece
    ) -> None:
        player = self.player
        count = player.events
        player.events = count + 1
        self.written += 1
        time += count % 1_000  # the client tells events of one millisecond apart by counting up
        # Written out here and below what `moment` does: the call would cost as much as the work.
        now = TWO_BYTES[time & 16_383] + TWO_BYTES[time >> 14 & 16_383] + high(time >> 28)
        clock = time + player.clock_error
        digits = b"%d" % count
        previous = player.previous.get(event_name)
        if previous is None:
            before = max(player.first_touch, player.first_seen - BEFORE)
            previous = b"" if player.newcomer else PREVIOUS + moment(before)
        player.previous[event_name] = PREVIOUS + now
        data = b"".join(
            (
                self._ids[len(digits)],
                digits,
                self._before_client_time,
                TWO_BYTES[clock & 16_383],
                TWO_BYTES[clock >> 14 & 16_383],
                high(clock >> 28),
                self._days[time >= self._midnight],
                now,
                name,
                screen,
                params,
                previous,
                value,
                BUNDLE,
                bundle(count // EVENTS_A_BUNDLE + 1),
                self._tail,
            )
        )
        self.events.append((time, data))


bundle = lru_cache(maxsize=4096)(varint)


@lru_cache(maxsize=1024)
def _day(date: str, personal: bool) -> Piece:
    consent = Consent(analytics=True, personalization=personal)
    return encoded(Event(consent=consent, origin=ORIGIN_GENERATED, event_date=date))


@cache
def _screens(screen: str, length: int) -> tuple[Piece, Piece]:
    """Give what stands before the digits of a screen's id, while it is shown and after it."""
    shown = text("firebase_screen_class", screen) + before_digits("firebase_screen_id", length)
    return shown, text("firebase_previous_class", screen) + before_digits("firebase_previous_id", length)


def _session(title: str, session_id: str) -> Piece:
    return encoded(Event(title=title, session_id=session_id)) + CLIENT_TIME
