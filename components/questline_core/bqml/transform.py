"""The TRANSFORM clause: expressions and ML functions that make features, at training and again at every prediction."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

import pyarrow as pa

from questline_core.bqml.functions import FUNCTIONS
from questline_core.bqml.text import Reader, Text, listed
from questline_core.errors import BadInput
from questline_core.warehouse.where import without_place

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
        self._check_names(table)
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
            return _ask(ask, ", ".join(chosen), rows)
        except BadInput as error:
            raise BadInput(f"{self._failing(rows, ask)}: in TRANSFORM: {_sentence(error)}") from None

    def _failing(self, rows: pa.Table, ask: Ask) -> str:
        """Find the first item that cannot be computed by itself; gives its place, or that of the first item."""
        for item in self.items:
            try:
                if not item.star:
                    _ask(ask, f"{item.sql} AS `{item.name}`", rows)
            except BadInput:
                return item.place
        return self.items[0].place

    def _check_names(self, table: pa.Table) -> None:
        here, made = [name.lower() for name in table.column_names], list[str]()
        for item in self.items:
            if missing := [name for name in item.excluded if name not in here]:
                raise BadInput(
                    f"{item.place}: EXCEPT names no column of the query: {missing[0]}; it gives {listed(here)}"
                )
            names = [name for name in here if name not in item.excluded] if item.star else [item.name.lower()]
            if twice := [name for name in names if name in made]:
                raise BadInput(
                    f"{item.place}: TRANSFORM makes two columns {twice[0]}; leave one out, by * EXCEPT or AS"
                )
            made += names

    def facts(self) -> dict[str, Any]:
        """Write it as facts for model.json."""
        return asdict(self)

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> Transform:
        """Read it back."""
        return cls([Item(**item) for item in facts["items"]], [Call(**call) for call in facts["calls"]])


def _argument(call: Call, rows: pa.Table, ask: Ask) -> pa.ChunkedArray[Any]:
    try:
        return _ask(ask, f"{call.argument} AS x", rows).column("x")
    except BadInput as error:
        raise BadInput(f"{call.place}: in ML.{call.function}: {_sentence(error)}") from None


def _ask(ask: Ask, items: str, rows: pa.Table) -> pa.Table:
    return ask(f"SELECT {items} FROM {ROWS}", {ROWS: rows}, {})  # noqa: S608 - the items are the statement's own


def _placed(call: Call, step: Callable[..., Any], *values: Any) -> Any:
    try:
        return step(*values)
    except BadInput as error:
        raise BadInput(f"{call.place}: ML.{call.function} {error}") from None


def _sentence(error: BadInput) -> str:
    """Take off what is of the small query that was made here: its place, and the columns of ML functions."""
    return re.sub(r'; similar: "_ml\d+".*|, "_ml\d+"', "", without_place(error))


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
            if text.word(first + 2) != "(" or text.closing(first + 2) + 1 != after:
                raise BadInput(f"{text.place(first + 1)}: write * EXCEPT(column, …)")
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
        needs = ["column", *(setting for setting, _, _ in function.settings)]
        raise BadInput(
            f"{place}: ML.{name} takes {least if least == most else f'{least} to {most}'} arguments "
            f"({listed(needs)}), not {len(arguments)}"
        )
    state = dict[str, Any]()
    for number, (setting, kind, default) in enumerate(function.settings, 1):
        state[setting] = default
        if number < len(arguments):
            reader = Reader(text, parameters, arguments[number][0])
            state[setting] = reader.value()
            if reader.index != arguments[number][1]:
                raise reader.wrong("a comma or )")
            if not kind.fits(state[setting]):
                sentence = kind.refusal(f"{setting} of ML.{name}", state[setting])
                raise BadInput(f"{text.place(arguments[number][0])}: {sentence}")
    argument = _expression(text, *arguments[0], calls, parameters)
    close = text.closing(index + 3) + 1
    if text.word(close) == "OVER" and text.word(close + 1) == "(":
        if text.word(close + 2) != ")":
            raise BadInput(f"{text.place(close + 2)}: OVER() of an ML function is empty: it learns from all rows")
        close += 3
    elif function.learn:
        raise BadInput(f"{place}: ML.{name} learns from all rows; write OVER() after it")
    calls.append(Call(name, argument, f"_ml{len(calls) + 1}", place, state))
    return close
