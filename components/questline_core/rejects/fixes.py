"""Fix files: small rules that mend events which break the contract; docs/rejects.md describes them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from google.protobuf.message import Message
from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt, TypeAdapter, ValidationError

from questline_core.errors import BadInput
from questline_core.events.checks import Problem, Reason, check, foreign
from questline_core.pb.telemetry_pb2 import Event
from questline_core.rejects.store import anywhere

Value = str | int | float | bool
_MOST_STEPS = 1_000
"""Rules applied to one event: each mends one problem, and 256 params may each have one."""
_LARGEST_BITS = 63
_SEGMENT = re.compile(r"([a-z_0-9]+)(?:\[([0-9]+|\*)\])?")


class Rule(BaseModel):
    """One entry of a fix file: which problem it mends, and how. The changes are made in the order of the fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reason: Reason
    field: str | None = None
    """The problem's field, `[*]` for any place in a list; any field without it."""
    title: str | None = None
    """Only for events of this title."""
    rename: Mapping[str, str] = Field(default_factory=dict)
    """A value moves to another field."""
    set: Mapping[str, Value] = Field(default_factory=dict)
    """A field gets this value; `@message_id` is the reject's own id."""
    multiply: Mapping[str, PositiveInt] = Field(default_factory=dict)
    divide: Mapping[str, PositiveInt] = Field(default_factory=dict)
    """Whole numbers; a remainder is dropped."""
    clip: Mapping[str, NonNegativeInt] = Field(default_factory=dict)
    """A text is cut to so many characters, a list to so many entries."""
    drop: Sequence[str] = ()
    """A field, or an entry of a list, is left out."""

    def mends(self, problem: Problem, event: Event) -> bool:
        """Tell whether the rule is for this problem."""
        right_field = self.field in {None, problem.field, anywhere(problem.field)}
        return self.reason == problem.reason and right_field and self.title in {None, event.title}

    def apply(self, event: Event, problem: Problem, *, message_id: str) -> None:
        """Change the event.

        Raises:
            BadInput: a path of the rule names no field, or a value does not fit it.
            _TooLarge: a product does not fit its field.
        """
        for old, new in self.rename.items():
            sources, targets = (_places(event, _resolved(path, problem)) for path in (old, new))
            for source, target in zip(sources, targets, strict=True):
                target.put(source.value)
                source.drop()
        for path, change in self._changes(message_id):
            for place in _places(event, _resolved(path, problem)):
                change(place)

    def _changes(self, message_id: str) -> Iterator[tuple[str, Callable[[_Place], None]]]:
        for path, value in self.set.items():
            yield path, partial(_Place.put, value=message_id if value == "@message_id" else value)
        yield from ((path, partial(_Place.multiply, by=by)) for path, by in self.multiply.items())
        yield from ((path, partial(_Place.divide, by=by)) for path, by in self.divide.items())
        yield from ((path, partial(_Place.clip, length=length)) for path, length in self.clip.items())
        yield from ((path, _Place.drop) for path in self.drop)


class _TooLarge(Exception):
    """Raised when a product does not fit its field, so that the rule is not for this event."""


class _Place:
    """One field of one message, or one entry of a list."""

    def __init__(self, parent: Message, name: str, index: str | None, path: str) -> None:
        self._parent, self._name, self._index, self._path = parent, name, index, path

    @property
    def value(self) -> Any:
        return getattr(self._parent, self._name)

    def put(self, value: Any) -> None:
        try:
            setattr(self._parent, self._name, value)
        except (TypeError, ValueError, AttributeError) as error:
            raise BadInput(f"the fix cannot put {value!r} into {self._path} ({error}); mend the fix file") from None

    def multiply(self, by: int) -> None:
        product = self.value * by
        if isinstance(product, int) and product.bit_length() > _LARGEST_BITS:
            raise _TooLarge
        self.put(product)

    def divide(self, by: int) -> None:
        self.put(self.value // by)

    def clip(self, length: int) -> None:
        if isinstance(self.value, str):
            self.put(self.value[:length])
        else:
            del self.value[length:]

    def drop(self) -> None:
        if self._index is None:
            self._parent.ClearField(self._name)
        elif self._index == "*":
            del self.value[:]
        elif int(self._index) < len(self.value):
            del self.value[int(self._index)]


def read_fixes(path: Path) -> Sequence[Rule]:
    """Read a fix file: a YAML list of rules.

    Raises:
        BadInput: it cannot be read, or an entry is no rule; says which.
    """
    try:
        given = yaml.safe_load(path.read_text(encoding="utf-8"))
        rules = TypeAdapter(list[Rule]).validate_python(given)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise BadInput(f"cannot read the fixes in {path} ({why}); docs/rejects.md shows one") from None
    except ValidationError as error:
        first = error.errors()[0]
        place = f"entry {'.'.join(map(str, first['loc']))}" if first["loc"] else "the file"
        raise BadInput(f"{path}: {place}: {first['msg']}; docs/rejects.md lists what a rule may say") from None
    return rules


def mend(event: Event, rules: Sequence[Rule], *, message_id: str, own_title: str = "") -> Problem | None:
    """Mend an event in place, problem after problem; returns the one that no rule mends, None when none is left.

    Args:
        event: is changed.
        rules: of which the first that is for a problem, and changes something, is applied.
        message_id: the reject's own id.
        own_title: that of the key with which the event came, if it was rejected for naming another.
    """
    for _ in range(_MOST_STEPS):
        problem = foreign(event.title, own_title) or check(event)
        if problem is None:
            return None
        fitting = (rule for rule in rules if rule.mends(problem, event))
        if not any(_changed(event, rule, problem, message_id) for rule in fitting):
            return problem
    return foreign(event.title, own_title) or check(event)


def _changed(event: Event, rule: Rule, problem: Problem, message_id: str) -> bool:
    """Apply a rule; False, and the event is as it was, when the rule changes nothing or makes a number too large."""
    tried = Event.FromString(event.SerializeToString())
    try:
        rule.apply(tried, problem, message_id=message_id)
    except _TooLarge:
        return False
    changed = tried.SerializeToString() != event.SerializeToString()
    event.CopyFrom(tried)
    return changed


def _resolved(path: str, problem: Problem) -> str:
    entry = re.sub(r"(\]).*?$", r"\1", problem.field) if "]" in problem.field else problem.field
    return path.replace("@field", problem.field).replace("@entry", entry)


def _places(message: Message, path: str) -> Iterator[_Place]:
    first, _, rest = path.partition(".")
    segment = _SEGMENT.fullmatch(first)
    field = message.DESCRIPTOR.fields_by_name.get(segment[1]) if segment else None
    if segment is None or field is None:
        raise BadInput(f"the fix names {path!r}, which is no field of the event contract; see docs/events.md")
    name, index = segment[1], segment[2]
    if not rest:
        yield _Place(message, name, index, path)
        return
    if field.message_type is None:
        raise BadInput(f"the fix names {path!r}, but {name} has no fields; see docs/events.md")
    value = getattr(message, name)
    parts = [value] if not field.is_repeated else list(value) if index in {None, "*"} else value[int(index) :][:1]
    for part in parts:
        yield from _places(part, rest)
