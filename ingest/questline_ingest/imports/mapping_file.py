"""Read a mapping file and say what is wrong with it before the first line of the log is read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from questline_core.errors import BadInput
from questline_core.events.columns import Column, Kind, columns
from questline_core.pb.telemetry_pb2 import Event
from questline_ingest.imports.mapping import MappedRows, Source
from questline_ingest.imports.times import ISO, UNITS, day_reader, moment_reader
from questline_ingest.imports.values import take

_NEEDED = ("event_name", "event_timestamp", "user_pseudo_id")


class _Moment(BaseModel):
    """A field that is a moment or a day, and how it is written."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    field: str
    format: str = ISO
    zone: str = "UTC"


class _File(BaseModel):
    """What a mapping file may say."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str = ""
    columns: dict[str, str | _Moment]
    unwrap: tuple[str, ...] = ()
    constants: dict[str, str] = {}
    params: dict[str, str] = {}


def shipped() -> list[str]:
    """Name the mappings that come with Questline."""
    return sorted(file.name.removesuffix(".yaml") for file in _folder().iterdir() if file.name.endswith(".yaml"))


def load_mapping(name: str) -> MappedRows:
    """Load a shipped mapping by its name, or a mapping file by its path.

    Raises:
        BadInput: there is no such mapping, or it cannot be used; says what to change.
    """
    try:
        return _compiled(_checked(yaml.safe_load(_text(name))))
    except yaml.YAMLError as error:
        raise BadInput(f"mapping {name} is not YAML: {' '.join(str(error).split())}") from None
    except ValidationError as error:
        where = "; ".join(f"{_place(e['loc'])}: {e['msg']}" for e in error.errors())
        raise BadInput(f"mapping {name} cannot be used: {where}") from None
    except BadInput as error:
        raise BadInput(f"mapping {name} cannot be used: {error}") from None


def _checked(content: Any) -> _File:
    if not isinstance(content, dict):
        found = "it is empty" if content is None else "it is no map of names to values"
        raise BadInput(f"{found}; it needs columns that name a field for {', '.join(_NEEDED)} (docs/importing.md)")
    return _File.model_validate(content)


def _place(path: Iterable[int | str]) -> str:
    """Write where in the file something is wrong, without the types that were tried there."""
    return ".".join(str(part) for part in path if part not in {"str", _Moment.__name__})


def _folder() -> Any:
    return files("questline_ingest.imports")


def _text(name: str) -> str:
    if name in shipped():
        text: str = _folder().joinpath(f"{name}.yaml").read_text(encoding="utf-8")
        return text
    try:
        return Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise BadInput(f"it cannot be read ({why}); name a file, or one of {', '.join(shipped())}") from None


def _compiled(file: _File) -> MappedRows:
    if missing := [name for name in _NEEDED if name not in file.columns and name not in file.constants]:
        raise BadInput(f"columns must name a field for {', '.join(missing)}")
    return MappedRows(
        title=file.title,
        sources=[_source(name, wanted) for name, wanted in file.columns.items()],
        unwrap=frozenset(tuple(name.split(".")) for name in file.unwrap),
        constants=[_constant(name, text) for name, text in file.constants.items()],
        renamed={tuple(name.split(".")): key for key, name in file.params.items()},
    )


def _constant(name: str, text: str) -> tuple[tuple[str, ...], str]:
    if _column(name).kind is not Kind.STRING:
        raise BadInput(f"{name} takes no text, so it cannot be a constant; name a field for it under columns")
    return tuple(name.split(".")), text


def _source(name: str, wanted: str | _Moment) -> Source:
    column = _column(name)
    moment = wanted if isinstance(wanted, _Moment) else None
    return Source(
        target=tuple(name.split(".")),
        field=tuple((moment.field if moment else str(wanted)).split(".")),
        convert=_moment_converter(name, column, moment) if moment else partial(_plain, column.kind),
    )


def _plain(kind: Kind, value: Any, path: str) -> Any:
    if kind is Kind.STRING and isinstance(value, int) and not isinstance(value, bool):
        value = str(value)  # many logs number their players
    return take(kind, value, path)


def _column(name: str) -> Column:
    table: Mapping[str, Column] = {column.name: column for column in columns(Event)}
    *records, last = name.split(".")
    for record in records:
        if record not in table or table[record].repeated:
            raise BadInput(f"{name} is no column that a field can fill (docs/events.md)")
        table = {column.name: column for column in table[record].fields}
    if last not in table or table[last].repeated or table[last].kind is Kind.RECORD:
        raise BadInput(f"{name} is no column that a field can fill (docs/events.md)")
    return table[last]


def _moment_converter(name: str, column: Column, moment: _Moment) -> Callable[[Any, str], Any]:
    try:
        zone = ZoneInfo(moment.zone)
    except (ZoneInfoNotFoundError, ValueError):
        raise BadInput(f"{name}: {moment.zone!r} is no time zone; write one such as America/Chicago") from None
    if moment.format not in {ISO, *UNITS} and "%" not in moment.format:
        raise BadInput(f"{name}: format {moment.format!r} is none of {ISO}, {', '.join(UNITS)} or a pattern with %Y")
    if column.kind is Kind.DATE and moment.format not in UNITS:
        return day_reader(moment.format, zone)
    if column.kind in {Kind.INTEGER, Kind.TIMESTAMP}:
        return moment_reader(moment.format, zone)
    raise BadInput(f"{name} holds no moment, so its field has no format")
