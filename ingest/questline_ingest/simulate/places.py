"""Where players live: country, clock and language, and how readily they spend there."""

from __future__ import annotations

from bisect import bisect
from dataclasses import dataclass
from itertools import accumulate

from questline_ingest.simulate import published
from questline_ingest.simulate.dice import Dice


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

_MANY = (
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
"""Where most players live."""

_FEW = """
Europe 2: Austria/de-at Belgium/nl-be Switzerland/de-ch Poland/pl-pl Sweden/sv-se
Europe 2: Norway/nb-no Denmark/da-dk Hungary/hu-hu
Europe 2: Czechia/cs-cz Slovakia/sk-sk Croatia/hr-hr Serbia/sr-rs Slovenia/sl-si
Europe 2: Albania/sq-al Macedonia/mk-mk Malta/en-gb
Europe 1: Ireland/en-ie Portugal/pt-pt
Europe 3: Romania/ro-ro Bulgaria/bg-bg Ukraine/uk-ua Finland/fi-fi Estonia/et-ee Latvia/lv-lv
Europe 3: Lithuania/lt-lt Turkey/tr-tr
Asia 3: Iraq/ar-iq Kuwait/ar-kw Qatar/ar-qa Jordan/ar-jo Lebanon/ar-lb Bahrain/ar-bh Yemen/ar-ye
Asia 4: Oman/ar-om Georgia/ka-ge Armenia/hy-am Azerbaijan/az-az
Asia 5.5: Sri~Lanka/en-gb
Asia 6: Bangladesh/bn-bd Kazakhstan/ru-kz
Asia 7: Cambodia/km-kh Laos/lo-la
Asia 8: Malaysia/en-gb Singapore/en-sg Hong~Kong/zh-hk Macao/zh-hant-mo Mongolia/mn-mn
Americas -3: Uruguay/es-uy Paraguay/es-py
Americas -4: Chile/es-cl Bolivia/es-bo Venezuela/es-ve Puerto~Rico/es-us
Americas -4: Dominican~Republic/es-us Trinidad~&~Tobago/en-us
Americas -5: Colombia/es-co Peru/es-pe Ecuador/es-ec Panama/es-pa Jamaica/en-us
Americas -6: Guatemala/es-gt Honduras/es-hn Nicaragua/es-ni Costa~Rica/es-cr El~Salvador/es-sv
Africa 0: Ghana/en-gb Senegal/fr-sn Morocco/fr-ma
Africa 1: Nigeria/en-gb Algeria/fr-dz Tunisia/fr-tn Cameroon/fr-fr
Africa 2: Libya/ar-ly Zambia/en-gb Zimbabwe/en-gb
Africa 3: Kenya/en-gb Ethiopia/en-us Tanzania/en-gb Uganda/en-gb
Oceania 12: Fiji/en-gb
"""
"""Where few players live: continent, hours from UTC, then each country with its usual language."""


def _few() -> tuple[Place, ...]:
    places = []
    for line in _FEW.strip().splitlines():
        where, _, countries = line.partition(": ")
        continent, clock = where.split()
        for one in countries.split():
            country, language = one.replace("~", " ").split("/")
            places.append(Place(country, continent, 0.0011, (float(clock),), (language, "en-us"), 0.7))
    return tuple(places)


PLACES = _MANY + _few()
"""All countries that occur."""
_NAMED = sum(published.COUNTRIES.values())
_REST = sum(place.weight for place in PLACES) - _NAMED
_SO_FAR = tuple(
    accumulate(
        # The published shares hold; what they leave is divided among the others.
        place.weight if place.country in published.COUNTRIES else place.weight * (1 - _NAMED) / _REST
        for place in PLACES
    )
)


def draw_place(dice: Dice) -> Place:
    """Throw where a player lives."""
    return PLACES[min(bisect(_SO_FAR, dice.random()), len(PLACES) - 1)]
