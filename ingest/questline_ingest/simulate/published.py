"""The published figures of the Flood-It export (114 days of 2018) that generated players are held against.

The export is capped at 50,000 events a day. Five more event names, 58 of its 5,700,000 events, are not generated.
"""

from __future__ import annotations

from collections.abc import Mapping

DAYS = 114
PLAYERS = 15_175
SPENDERS = 2_044
ONE_DAY_SHARE = 0.52
"""Share of players seen on one day only, over the whole 114 days."""
RETENTION: Mapping[int, float] = {1: 0.215, 3: 0.105, 7: 0.056, 14: 0.037, 30: 0.021}
"""Share of players seen again exactly so many days after the first."""
EVENTS_PER_PLAYER: Mapping[int, int] = {50: 52, 90: 521}
"""Percentile to events of a player. The far tail (p99 5,541, maximum 102,503) is cut in what is generated."""
ANDROID_SHARE_OF_EVENTS = 0.53
ENGAGEMENT_MS_P50, ENGAGEMENT_MS_P99 = 3_600, 214_000
SPENDS = 9_363
LANGUAGES = 222
"""Different language codes of devices."""
BOUNCED_SHARE = 5_557 / 13_588
"""Of players whose label is known: last engagement at most ten minutes after the first."""
CHURNED_SHARE = 1_883 / 8_031
"""Of those who did not bounce: last engagement within 24 hours of the first."""
CHURN_BY_ENGAGEMENT: Mapping[tuple[int, int], float] = {
    (1, 2): 0.048,
    (3, 5): 0.096,
    (6, 10): 0.158,
    (11, 20): 0.249,
    (21, 40): 0.377,
    (41, 80): 0.376,
    (81, 160): 0.314,
    (161, 10**9): 0.167,
}
"""Fewest and most `user_engagement` events in the first 24 hours to the share that churned: it rises, then falls."""
OTHER_DATE_THAN_UTC = 0.34
"""Share of rows whose `event_date` is not the UTC date."""
COUNTRIES: Mapping[str, float] = {
    "United States": 0.523,
    "India": 0.075,
    "Japan": 0.055,
    "Canada": 0.045,
    "Australia": 0.039,
    "United Kingdom": 0.036,
}

EVENT_COUNTS: Mapping[str, int] = {
    "screen_view": 2_247_623,
    "user_engagement": 1_358_958,
    "level_start_quickplay": 523_430,
    "level_end_quickplay": 349_729,
    "post_score": 242_051,
    "level_complete_quickplay": 191_088,
    "level_fail_quickplay": 137_035,
    "level_reset_quickplay": 122_278,
    "select_content": 105_139,
    "level_start": 74_417,
    "session_start": 74_353,
    "level_end": 54_582,
    "level_retry": 43_345,
    "level_up": 35_666,
    "level_complete": 33_986,
    "level_retry_quickplay": 29_939,
    "level_fail": 17_353,
    "spend_virtual_currency": 9_363,
    "use_extra_steps": 8_945,
    "level_reset": 8_535,
    "firebase_campaign": 5_411,
    "app_exception": 5_156,
    "first_open": 4_322,
    "os_update": 3_290,
    "no_more_extra_steps": 2_792,
    "app_remove": 2_639,
    "app_update": 2_473,
    "ad_reward": 1_912,
    "completed_5_levels": 1_867,
    "error": 1_714,
    "challenge_a_friend": 524,
    "in_app_purchase": 27,
}


def share(event_name: str) -> float:
    """Tell which share of the published events has this name."""
    return EVENT_COUNTS[event_name] / sum(EVENT_COUNTS.values())
