"""The language codes of devices: 222 of them, from `en-us` to `zh-hans-cn` and `en-001`."""

from __future__ import annotations

from questline_ingest.simulate.dice import Dice
from questline_ingest.simulate.places import PLACES, Place

ODD_SHARE = 0.05
"""Share of devices whose language is none of the usual ones of the place."""
HOW_MANY = 222
"""As many different codes as the published export has."""

_ENGLISH = (
    "001 150 ae at be ca ch cn cz de dk eg es eu fi fr gr hk hu id ie il it jp ke kr kw lb lk mx my ng nl no "
    "nz pl pt qa ro ru se sg th tr tw ua vn za"
)
_ELSEWHERE = (
    "af-za am-et ar ar-ae ar-bh ar-dz ar-iq ar-jo ar-kw ar-lb ar-ly ar-ma ar-om ar-qa ar-tn ar-ye az-az be-by "
    "bg-bg bn-bd bn-in bs-ba ca-es cs-cz cy-gb da-dk de de-at de-be de-ch de-it el el-cy es es-419 es-bo es-cl "
    "es-co es-cr es-do es-ec es-gt es-hn es-ni es-pa es-pe es-pr es-py es-sv es-uy es-ve et-ee eu-es fa-ir fi- "
    "fi fil-ph fr-be fr-ch fr-dz fr-lu fr-ma fr-sn fr-tn ga-ie gl-es gu-in hi-in hr-hr hu-hu hy-am id-id is-is "
    "it it-ch ka-ge kk-kz km-kh kn-in ko lo-la lt-lt lv-lv mk-mk ml-in mn-mn mr-in ms-my my-mm nb nb-no ne-np "
    "nl nl-be nn-no pa-in pl pl-pl pt pt-ao pt-pt ro-ro ru ru-by ru-kz ru-ua si-lk sk-sk sl-si sq-al sr-latn- "
    "rs sr-rs sv sv-fi sv-se sw-ke ta-in tl-ph tr tr-tr uk uk-ua ur-pk uz-uz vi zh-hans-hk zh-hans-sg zh-hans- "
    "us zh-hant zh-hant-hk zh-hant-mo zh-hk zh-sg zu-za"
)
_USUAL = sorted({code for place in PLACES for code in place.languages})
_ALL = [*_USUAL, *(f"en-{region}" for region in _ENGLISH.split()), *_ELSEWHERE.split()]
CODES = tuple(dict.fromkeys(_ALL))[:HOW_MANY]
"""All codes that occur, without a copy."""


def draw_language(dice: Dice, place: Place) -> str:
    """Throw the language of a device: mostly the first of the place, now and then one from anywhere."""
    if dice.happens(ODD_SHARE):
        return dice.choice(CODES)
    return dice.choices(place.languages, [0.8**2 / 3**step for step in range(len(place.languages))])[0]
