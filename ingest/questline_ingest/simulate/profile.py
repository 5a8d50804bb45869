"""What all events of one player have in common: device, place, app, user properties."""

from __future__ import annotations

from questline_core.pb.telemetry_pb2 import (
    AppInfo,
    Device,
    Event,
    Geo,
    TrafficSource,
    UserProperty,
    UserPropertyValue,
)
from questline_ingest.simulate.dice import Dice
from questline_ingest.simulate.languages import draw_language
from questline_ingest.simulate.players import Player
from questline_ingest.simulate.wire import Piece, encoded

SET_SHARE = {
    "initial_extra_steps": 0.97,
    "ad_frequency": 0.97,
    "plays_quickplay": 0.95,
    "plays_progressive": 0.91,
    "num_levels_available": 0.93,
    "firebase_exp_4": 0.73,
    "firebase_exp_1": 0.79,
    "firebase_last_notification": 0.55,
}
"""How often each user property is set, as in the real rows."""
SYSTEM_KNOWN = 0.95
BOT = "bot"
"""The user property by which a bot of the scenario `bot-wave` is known."""
ANDROID_BRANDS = ("Samsung", "Huawei", "Xiaomi", "Motorola", "LG", "Google")


def profile(player: Player, *, levels: int) -> Piece:
    """Encode what every event of this player carries, from the player's id on."""
    event = Event(
        user_pseudo_id=player.pseudo_id,
        user_properties=_properties(player, levels),
        user_first_touch_timestamp=player.first_touch,
        device=_device(player),
        geo=Geo(continent=player.place.continent, country=player.place.country),
        app_info=_app(player),
        traffic_source=_traffic(player.dice),
        stream_id="1000000002" if player.on_iphone else "1000000001",
        platform="IOS" if player.on_iphone else "ANDROID",
    )
    return encoded(event)


def _properties(player: Player, levels: int) -> list[UserProperty]:
    dice, first = player.dice, player.first_touch
    opened = UserPropertyValue(int_value=first, set_timestamp_micros=first)
    texts = {
        "initial_extra_steps": str(player.first_steps),
        "ad_frequency": dice.choice(("2", "2", "3", "3", "4", "8", "16")),
        "plays_quickplay": "true",
        "plays_progressive": "true",
        "num_levels_available": str(levels),
        "firebase_exp_4": dice.choice("012"),
        "firebase_exp_1": dice.choice("0123"),
        "firebase_last_notification": str(dice.getrandbits(62)),
    }
    bot = [UserProperty(key=BOT, value=UserPropertyValue(string_value="true"))] if player.bot else []
    return [UserProperty(key="first_open_time", value=opened), *bot] + [
        UserProperty(
            key=key,
            value=UserPropertyValue(string_value=text, set_timestamp_micros=first + dice.randrange(1, 60_000) * 1_000),
        )
        for key, text in texts.items()
        if dice.happens(SET_SHARE[key])
    ]


def _device(player: Player) -> Device:
    dice = player.dice
    device = Device(
        category="tablet" if dice.happens(0.15) else "mobile",
        mobile_brand_name="Apple" if player.on_iphone else dice.choice(ANDROID_BRANDS),
        language=draw_language(dice, player.place),
        is_limited_ad_tracking="Yes" if player.limited else "No",
        time_zone_offset_seconds=int(player.clock_hours * 3_600),
    )
    # The real export lacks the system on one row in twenty, and sometimes has the text "NaN".
    if dice.happens(SYSTEM_KNOWN):
        device.operating_system = "IOS" if player.on_iphone else "ANDROID"
    elif dice.happens(0.1):
        device.operating_system = "NaN"
    return device


def _app(player: Player) -> AppInfo:
    if player.on_iphone:
        return AppInfo(
            id="com.example.flood2",
            version=player.dice.choice(("2.6.31", "2.6.31", "2.6.30", "2.6.22")),
            firebase_app_id="1:100000000000:ios:0000000000000002",
            install_source="iTunes",
        )
    return AppInfo(
        id="com.example.flood",
        version=player.dice.choice(("2.62", "2.62", "2.62", "2.62", "2.57", "2.53")),
        firebase_app_id="1:100000000000:android:0000000000000001",
        install_source="com.android.vending",
    )


def _traffic(dice: Dice) -> TrafficSource:
    name, medium, source = dice.choices(
        (("(direct)", "(none)", "(direct)"), (None, "organic", "google-play"), ("Generated campaign", "cpc", "google")),
        (0.83, 0.16, 0.01),
    )[0]
    return TrafficSource(name=name, medium=medium, source=source)
