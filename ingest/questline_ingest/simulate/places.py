"""Where players live: country, clock and language, and how readily they spend there."""

from __future__ import annotations

from dataclasses import dataclass

from questline_ingest.simulate import published

HOUR = 3_600


@dataclass(frozen=True, slots=True)
class Place:
    """A country and those who play there."""

    country: str
    continent: str
    weight: float
    """Share of players, or what is in proportion to it where none is published."""
    clocks: tuple[float, ...]
    """Hours from UTC that players' devices show."""
    languages: tuple[str, ...]
    """Device languages, the most usual first."""
    spending: float = 1.0
    """How readily players spend here, 1 is average."""


_US, _INDIA, _JAPAN, _CANADA, _AUSTRALIA, _UK = published.COUNTRIES.values()

PLACES = (
    Place("United States", "Americas", _US, (-4, -4, -5, -7), ("en-us", "en", "es-us", "en-gb"), 1.3),
    Place("India", "Asia", _INDIA, (5.5,), ("en-gb", "en-us", "en-in", "te-in"), 0.3),
    Place("Japan", "Asia", _JAPAN, (9,), ("ja-jp", "ja", "en-jp"), 1.8),
    Place("Canada", "Americas", _CANADA, (-4, -7), ("en-ca", "fr-ca", "en-us"), 1.2),
    Place("Australia", "Oceania", _AUSTRALIA, (8, 10), ("en-au", "en-gb", "en-us"), 1.2),
    Place("United Kingdom", "Europe", _UK, (1,), ("en-gb", "en-us", "en"), 1.2),
    Place("Germany", "Europe", 0.019, (2,), ("de-de", "en-us", "en-de"), 1.0),
    Place("Mexico", "Americas", 0.014, (-5,), ("es-mx", "es-us", "en-us"), 0.6),
    Place("Brazil", "Americas", 0.013, (-3,), ("pt-br", "en-us", "en-br"), 0.5),
    Place("France", "Europe", 0.011, (2,), ("fr-fr", "en-us", "fr"), 1.0),
    Place("Taiwan", "Asia", 0.010, (8,), ("zh-tw", "zh-hant-tw", "en-us"), 1.2),
    Place("China", "Asia", 0.009, (8,), ("zh-hans-cn", "zh-cn", "zh-hans"), 0.7),
    Place("Pakistan", "Asia", 0.007, (5,), ("en-us", "en-gb", "en-pk"), 0.3),
    Place("Netherlands", "Europe", 0.006, (2,), ("nl-nl", "en-nl", "de-de"), 1.0),
    Place("Saudi Arabia", "Asia", 0.006, (3,), ("ar-sa", "en-us", "en-sa", "ar-ae"), 1.2),
    Place("Vietnam", "Asia", 0.006, (7,), ("vi-vn", "en-us", "en-vn"), 0.4),
    Place("Egypt", "Africa", 0.006, (2,), ("en-us", "en-gb", "ar-eg"), 0.3),
    Place("Philippines", "Asia", 0.005, (8,), ("en-us", "en-ph", "en-gb"), 0.4),
    Place("Spain", "Europe", 0.005, (2,), ("es-es", "en-us", "ca-es"), 0.9),
    Place("Indonesia", "Asia", 0.005, (7, 8), ("in-id", "en-us", "en-id"), 0.4),
    Place("Israel", "Asia", 0.005, (3,), ("en-us", "iw-il", "he-il"), 0.9),
    Place("South Africa", "Africa", 0.005, (2,), ("en-za", "en-gb", "en-us"), 0.5),
    Place("New Zealand", "Oceania", 0.003, (12,), ("en-nz", "en-gb"), 1.0),
    Place("Greece", "Europe", 0.002, (3,), ("el-gr", "en-gb"), 0.7),
    Place("Côte d’Ivoire", "Africa", 0.001, (0,), ("fr-ci", "fr-fr", "en-001"), 0.3),  # noqa: RUF001 - its real spelling
    Place("Argentina", "Americas", 0.004, (-3,), ("es-us", "es-ar", "en-us"), 0.5),
    Place("Thailand", "Asia", 0.004, (7,), ("th-th", "en-us"), 0.5),
    Place("Italy", "Europe", 0.003, (2,), ("it-it", "en-us"), 0.9),
    Place("Russia", "Europe", 0.003, (3, 5, 7), ("ru-ru", "en-us"), 0.6),
    Place("South Korea", "Asia", 0.002, (9,), ("ko-kr", "en-us"), 1.5),
)
_NAMED = sum(published.COUNTRIES.values())
_REST = sum(place.weight for place in PLACES) - _NAMED
WEIGHTS = tuple(
    # The published shares hold; what they leave is divided among the others.
    place.weight if place.country in published.COUNTRIES else place.weight * (1 - _NAMED) / _REST
    for place in PLACES
)
