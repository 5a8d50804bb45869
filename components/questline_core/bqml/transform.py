"""The TRANSFORM clause: expressions and ML functions that make features, at training and again at every prediction."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

import pyarrow as pa

from questline_core.bqml.functions import FUNCTIONS
from questline_core.bqml.text import Reader, Text, listed
from questline_core.errors import BadInput

Ask: TypeAlias = Callable[[str, Mapping[str, pa.Table], Mapping[str, Any]], pa.Table]
"""Runs one GoogleSQL query, with relations that are named in it, and parameters."""

ROWS = "_bqml_rows"


@dataclass(frozen=True, slots=True)
class Call:
    """One ML function of the clause."""

    function: str
    argument: str
    """The GoogleSQL expression it is applied to; ML functions within it are columns made before."""
    result: str
    place: str
    state: Mapping[str, Any]
    """Settings and, once trained, what was learned."""


@dataclass(frozen=True, slots=True)
class Item:
    """One column of the clause's result, or a star."""

    sql: str
    name: str
    place: str
    star: bool = False
    excluded: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Transform:
    """The clause as it was read; after `learn`, with what it learned."""

    items: Sequence[Item]
    calls: Sequence[Call]

    def learn(self, table: pa.Table, ask: Ask) -> tuple[Transform, pa.Table]:
        """Learn from the training rows; gives what is to be kept, and the rows transformed."""
        calls = list[Call]()
        rows = table
        for call in self.calls:
            function, column = FUNCTIONS[call.function], _argument(call, rows, ask)
            if function.learn:
                learned = _placed(call, function.learn, column, call.state)
                call = Call(call.function, call.argument, call.result, call.place, {**call.state, **learned})  # noqa: PLW2901 - it grew
            calls.append(call)
            rows = rows.append_column(call.result, _placed(call, function.apply, column, call.state))
        kept = Transform(self.items, calls)
        return kept, kept._select(table, rows, ask, needed="")

    def apply(self, table: pa.Table, ask: Ask, *, label: str) -> pa.Table:
        """Transform rows as at training; an item named like the label may fail for want of its column."""
        rows = table
        for call in self.calls:
            column = _argument(call, rows, ask)
            rows = rows.append_column(call.result, _placed(call, FUNCTIONS[call.function].apply, column, call.state))
        return self._select(table, rows, ask, needed=label)

    def _select(self, table: pa.Table, rows: pa.Table, ask: Ask, *, needed: str) -> pa.Table:
        here = {name.lower() for name in table.column_names}
        chosen = list[str]()
        for item in self.items:
            if item.star:
                chosen += [f"`{name}`" for name in table.column_names if name.lower() not in item.excluded]
            elif not (item.name.lower() == needed.lower() and needed and needed.lower() not in here):
                chosen.append(f"{item.sql} AS `{item.name}`")
        try:
            return ask(f"SELECT {', '.join(chosen)} FROM {ROWS}", {ROWS: rows}, {})  # noqa: S608 - the parts are the statement's own
        except BadInput as error:
            raise BadInput(f"in TRANSFORM: {_without_place(error)}") from None

    def facts(self) -> dict[str, Any]:
        """Write it as facts for model.json."""
        return asdict(self)

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> Transform:
        """Read it back."""
        return cls([Item(**item) for item in facts["items"]], [Call(**call) for call in facts["calls"]])


def _argument(call: Call, rows: pa.Table, ask: Ask) -> pa.ChunkedArray[Any]:
    try:
        return ask(f"SELECT {call.argument} AS x FROM {ROWS}", {ROWS: rows}, {}).column("x")  # noqa: S608 - as above
    except BadInput as error:
        raise BadInput(f"{call.place}: in ML.{call.function}: {_without_place(error)}") from None


def _placed(call: Call, step: Callable[..., Any], *values: Any) -> Any:
    try:
        return step(*values)
    except BadInput as error:
        raise BadInput(f"{call.place}: {error}") from None


def _without_place(error: BadInput) -> str:
    """Take off the place in the small query that was made here: it is not one in the statement."""
    text = str(error)
    return text.partition(": ")[2] if text.startswith("line ") else text


def read_transform(reader: Reader) -> Transform:
    """Read TRANSFORM(…).

    Raises:
        BadInput: a function is unknown, an argument is missing or an item has no name; tells where.
    """
    text, opening = reader.text, reader.skip_brackets()[0]
    after_all, items, calls = reader.index, list[Item](), list[Call]()
    for first, after in text.arguments(opening):
        items.append(_item(text, first, after, calls, reader.parameters))
    if not items:
        raise BadInput(f"{text.place(opening)}: TRANSFORM needs at least one column")
    reader.index = after_all
    return Transform(items, calls)


def _item(text: Text, first: int, after: int, calls: list[Call], parameters: Mapping[str, Any]) -> Item:
    place = text.place(first)
    if text.word(first) == "*":
        excluded = []
        if text.word(first + 1) == "EXCEPT":
            excluded = [text.tokens[i].text.lower() for i, _ in text.arguments(first + 2)]
        elif first + 1 != after:
            raise BadInput(f"{text.place(first + 1)}: after * TRANSFORM takes only EXCEPT(column, …)")
        return Item("", "", place, star=True, excluded=excluded)
    last = after
    if after - first > 2 and text.word(after - 2) == "AS":  # noqa: PLR2004 - something, AS, name
        name, last = text.tokens[after - 1].text, after - 2
    elif after - first == 1 or text.word(after - 2) == ".":
        name = text.tokens[after - 1].text
    else:
        raise BadInput(f"{place}: give this column of TRANSFORM a name with AS")
    return Item(_expression(text, first, last, calls, parameters), name, place)


def _expression(text: Text, first: int, after: int, calls: list[Call], parameters: Mapping[str, Any]) -> str:
    """Copy an expression with each ML function replaced by the column it makes."""
    parts, index = list[str](), first
    while index < after:
        if text.word(index) == "ML" and text.word(index + 1) == ".":
            index = _call(text, index, calls, parameters)
            parts.append(f"`{calls[-1].result}`")
            continue
        span = text.span(index, index + 1)
        parts.append(text.text[span.start : span.stop])
        if index + 1 < after and text.tokens[index + 1].start > span.stop:
            parts.append(" ")
        index += 1
    return "".join(parts).strip()


def _call(text: Text, index: int, calls: list[Call], parameters: Mapping[str, Any]) -> int:
    """Read one ML function and those within it; gives the token after it."""
    name, place = text.word(index + 2), text.place(index)
    function = FUNCTIONS.get(name)
    if function is None:
        known = listed([f"ML.{known}" for known in sorted(FUNCTIONS)])
        raise BadInput(f"{place}: TRANSFORM has no function ML.{name} here; supported are {known}")
    arguments = text.arguments(index + 3)
    most = 1 + len(function.settings)
    least = 1 + sum(default is ... for _, _, default in function.settings)
    if not least <= len(arguments) <= most:
        raise BadInput(f"{place}: ML.{name} takes {least} to {most} arguments, not {len(arguments)}")
    state = dict[str, Any]()
    for number, (setting, kind, default) in enumerate(function.settings, 1):
        state[setting] = default
        if number < len(arguments):
            reader = Reader(text, parameters, arguments[number][0])
            state[setting] = reader.value()
            if not isinstance(state[setting], kind) or (kind is int and isinstance(state[setting], bool)):
                raise BadInput(
                    f"{text.place(arguments[number][0])}: {setting} of ML.{name} cannot be {state[setting]!r}"
                )
    argument = _expression(text, *arguments[0], calls, parameters)
    close = text.closing(index + 3) + 1
    if text.word(close) == "OVER" and text.word(close + 1) == "(":
        close = text.closing(close + 1) + 1
    elif function.learn:
        raise BadInput(f"{place}: ML.{name} learns from all rows; write OVER() after it")
    calls.append(Call(name, argument, f"_ml{len(calls) + 1}", place, state))
    return close
