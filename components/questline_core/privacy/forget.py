"""Forget a player: first so that nothing new comes in, then place by place, then look everywhere once more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from questline_core.errors import BadInput, LivesOn, NotReady
from questline_core.privacy.forgotten import Forgotten
from questline_core.privacy.holder import Holder
from questline_core.privacy.record import Place, Record, Records


def forget(
    player: str, *, player_key: str, forgotten: Forgotten, places: Sequence[Holder], records: Records
) -> tuple[Record, Path]:
    """Erase a player everywhere and return the signed record and its file.

    After a crash, call it again: what was done is not undone, and the same record is completed. A record is ended when
    nothing is left but what cannot be removed; a note says until when that stays.

    Raises:
        BadInput: the id is empty.
    """
    if not player:
        raise BadInput("the id of the player is empty; give the user_pseudo_id of the player to forget")
    record = records.unfinished(player_key) or Record(player_key=player_key, began=_now())
    records.write(record)
    forgotten.add(player)
    for place in places:
        record = record.after(_erase(place, player))
        records.write(record)
    # Rows that were on their way while their table was cleaned are in it by now, and so is a view of a cleaned table.
    for place in places:
        if _left(place, player).left:
            record = record.after(_erase(place, player))
            records.write(record)
    if not record.left:
        record = replace(record, ended=_now())
    return record, records.write(record)


def search(player: str, places: Sequence[Holder]) -> dict[str, int]:
    """Count what each place holds of a player, those left out that hold nothing."""
    found = {place.name: place.find(player) for place in places}
    return {name: count for name, count in found.items() if count}


def _erase(place: Holder, player: str) -> Place:
    removed, failed, note = 0, False, ""
    try:
        removed = place.erase(player)
    except (BadInput, LivesOn) as error:
        note = str(error)
    except NotReady as error:
        note, failed = str(error), True
    found = _left(place, player)
    return Place(place=place.name, removed=removed, left=max(found.left, int(failed)), note=note or found.note)


def _left(place: Holder, player: str) -> Place:
    """Look what is left. A place that cannot be looked at now counts as if one thing were."""
    left, note = 0, ""
    try:
        left = place.find(player)
    except (BadInput, LivesOn) as error:
        note = str(error)
    except NotReady as error:
        left, note = 1, str(error)
    return Place(place=place.name, removed=0, left=left, note=note)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
