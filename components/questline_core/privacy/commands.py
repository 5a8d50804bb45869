"""`questline forget`: remove players everywhere, or check the record of a removal."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from questline_core.privacy.record import Record
    from questline_core.settings import PlatformSettings


def forget(
    players: Annotated[list[str] | None, typer.Argument(help="The user_pseudo_id of each player.")] = None,
    *,
    file: Annotated[Path | None, typer.Option(help="Read more ids from this file, one a line.")] = None,
    verify: Annotated[
        Path | None,
        typer.Option(help="Remove nothing: check this record's signature and, with the player, that nothing is left."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
) -> None:
    """Remove players from every place, for good, and leave a signed record of what was removed where.

    Ends with exit code 1 when something is left; the record says where and why.
    """
    from questline_core.settings import PlatformSettings

    wanted = [*(players or ()), *_ids_in(file)]
    settings = PlatformSettings.read_existing()
    clean = _verify(settings, verify, wanted, as_json) if verify else _forget(settings, wanted, as_json)
    if not clean:
        raise typer.Exit(1)


def _forget(settings: PlatformSettings, players: Iterable[str], as_json: bool) -> bool:
    from questline_core.errors import BadInput
    from questline_core.privacy.forget import forget as erase
    from questline_core.privacy.key import open_key
    from questline_core.privacy.places import opened_places
    from questline_core.privacy.record import Records

    if not (players := list(dict.fromkeys(players))):
        raise BadInput("no player is named; give the user_pseudo_id of each player to forget, or --file")
    key, clean = open_key(settings), True
    records = Records(settings.paths.privacy / "records", key)
    with opened_places(settings, key) as (forgotten, places):
        for player in players:
            record, path = erase(
                player, player_key=key.of_player(player), forgotten=forgotten, places=places, records=records
            )
            clean = clean and bool(record.ended)
            print(_as_json(record, path) if as_json else _told(record, path))
    return clean


def _verify(settings: PlatformSettings, path: Path, players: Iterable[str], as_json: bool) -> bool:
    from questline_core.errors import BadInput
    from questline_core.privacy.forget import search
    from questline_core.privacy.key import open_key
    from questline_core.privacy.places import opened_places
    from questline_core.privacy.record import Records

    key = open_key(settings)
    record = Records(settings.paths.privacy / "records", key).read(path)
    print(_as_json(record, path) if as_json else _told(record, path))
    found = dict[str, int]()
    with opened_places(settings, key) as (forgotten, places):
        for player in players:
            if key.of_player(player) != record.player_key:
                raise BadInput("the record is of another player than the one that is named")
            found = search(player, places)
            if player not in forgotten:
                raise BadInput("the player is not among the forgotten any more; forget the player again")
    print("the signature is ours" + "".join(f"\nfound again: {count:,} in {place}" for place, count in found.items()))
    return not found and bool(record.ended)


def _ids_in(file: Path | None) -> list[str]:
    from questline_core.errors import BadInput

    if file is None:
        return []
    try:
        return [line.strip() for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"cannot read {file} ({error}); give a text file with one id a line") from None


def _as_json(record: Record, path: Path) -> str:
    from dataclasses import asdict

    return json.dumps({**asdict(record), "left": record.left, "record": str(path)})


def _told(record: Record, path: Path) -> str:
    lines = [f"player {record.player_key[:16]}…: {'forgotten' if record.ended else 'NOT COMPLETE, run it again'}"]
    for place in record.places:
        if place.removed or place.left or place.note:
            left = f", {place.left:,} LEFT" if place.left else ""
            lines.append(f"  {place.removed:>8,} removed{left}  {place.place}{f': {place.note}' if place.note else ''}")
    if record.ended and not any(place.removed for place in record.places):
        lines.append("  nothing was found; if that surprises you, look whether the id is spelt as in user_pseudo_id")
    return "\n".join([*lines, f"record: {path}"])
