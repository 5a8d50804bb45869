"""Run a GoogleSQL text: each statement goes where it belongs, variables and blocks are kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pyarrow as pa
from sqlglot import exp

from questline_core.errors import BadInput
from questline_core.warehouse.columns import type_name
from questline_core.warehouse.engine import Engine
from questline_core.warehouse.googlesql import Variable, read
from questline_core.warehouse.statements import changes, models, tables
from questline_core.warehouse.statements.reader import Reader
from questline_core.warehouse.statements.script import (
    Assign,
    Block,
    Choice,
    Declare,
    ForEach,
    Jump,
    Part,
    Piece,
    Repeat,
    cut,
)
from questline_core.warehouse.store import Store
from questline_core.warehouse.types import arrow_type, duckdb_type
from questline_core.warehouse.where import at

_CHANGES: Mapping[type[exp.Expr], Callable[[Reader, str, Any], None]] = {
    exp.Create: tables.create,
    exp.Drop: tables.drop,
    exp.TruncateTable: tables.truncate,
    exp.Insert: changes.insert,
    exp.Delete: changes.delete,
    exp.Update: changes.update,
    exp.Merge: changes.merge,
}
_QUERIES = ("SELECT", "WITH", "(")


class _Jumped(Exception):
    def __init__(self, jump: Jump) -> None:
        super().__init__()
        self.jump = jump


def run(store: Store, engine: Engine, text: str, values: Mapping[str, Any]) -> pa.Table:
    """Run one statement or script and give the rows of its last statement: without columns unless that is a SELECT.

    Raises:
        BadInput: something is not GoogleSQL, not supported or fails; tells where. What came before it is done.
    """
    script = _Script(Reader(store, engine, values))
    try:
        script.block(cut(text))
    except _Jumped as error:
        raise BadInput(f"{error.jump.place}: this stands in no loop") from None
    return script.rows


class _Script:
    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self.rows = pa.table({})

    def block(self, block: Block) -> None:
        outer = self._reader.variables
        self._reader.variables = outer.new_child()
        try:
            for part in block.parts:
                self._part(part)
        finally:
            self._reader.variables = outer

    def _part(self, part: Part) -> None:
        match part:
            case Piece():
                with at(part.place):
                    self._statement(part)
            case Declare():
                self._declare(part)
            case Assign():
                self._assign(part)
            case Choice():
                self._choose(part)
            case Repeat():
                self._repeat(part)
            case ForEach():
                self._for_each(part)
            case Jump():
                raise _Jumped(part)
            case Block():
                self.block(part)

    def _statement(self, piece: Piece) -> None:
        if models.is_about_models(piece.words):
            self.rows = models.hook(piece.place).run(self._reader.asked(piece, self._reader.ask))
            return
        if piece.words[0] in _QUERIES:
            self.rows = self._reader.ask(piece.text)
            return
        text, calls = models.take_out(piece.text)
        tree = read(text)
        do = _CHANGES.get(type(tree))
        if do is None:
            raise BadInput(f"{piece.place}: the embedded warehouse does not run {piece.words[0]}; it runs {_ALLOWED}")
        do(replace(self._reader, calls=calls), text, tree)
        self.rows = pa.table({})

    def _declare(self, part: Declare) -> None:
        if part.value is not None:
            value, type_ = self._value(part.value)
        else:
            value, type_ = None, pa.int64()
        if part.type_ is not None:
            type_ = _declared(part.type_)
        if part.type_ is None and part.value is None:
            raise BadInput(f"{part.place}: DECLARE needs a type or a DEFAULT")
        for name in part.names:
            if name in self._reader.variables.maps[0]:
                raise BadInput(f"{part.place}: the variable {name} is declared already")
            self._reader.variables[name] = Variable(_fitted(value, type_, part.place), duckdb_type(type_))

    def _assign(self, part: Assign) -> None:
        tree = read(part.value.text)
        if len(part.names) > 1 and isinstance(tree, exp.Tuple) and len(tree.expressions) == len(part.names):
            found = [self._reader.value(item.copy(), part.value.text) for item in tree.expressions]
        elif len(part.names) > 1:
            value, type_ = self._reader.value(tree, part.value.text)
            if not pa.types.is_struct(type_) or type_.num_fields != len(part.names):
                raise BadInput(f"{part.place}: {len(part.names)} values are wanted here")
            found = [(item, type_.field(index).type) for index, item in enumerate(value.values())]
        else:
            found = [self._reader.value(tree, part.value.text)]
        for name, (value, type_) in zip(part.names, found, strict=True):
            self._set(name, value, type_, part.place)

    def _set(self, name: str, value: Any, type_: pa.DataType, place_: str) -> None:
        scope = next((scope for scope in self._reader.variables.maps if name in scope), None)
        if scope is None:
            raise BadInput(
                f"{place_}: the variable {name} is not declared; write DECLARE {name} {type_name(type_)} first"
            )
        wanted = scope[name].type_
        if duckdb_type(type_) != wanted and value is not None:
            if (duckdb_type(type_), wanted) != ("BIGINT", "DOUBLE"):
                raise BadInput(f"{place_}: the variable {name} is {wanted}, but the value is {duckdb_type(type_)}")
            value = float(value)
        scope[name] = Variable(value, wanted)

    def _choose(self, part: Choice) -> None:
        for condition, body in part.branches:
            if self._holds(condition):
                self.block(body)
                return
        self.block(part.otherwise)

    def _repeat(self, part: Repeat) -> None:
        while part.condition is None or self._holds(part.condition):
            if not self._once(part.body):
                return

    def _for_each(self, part: ForEach) -> None:
        rows = self._reader.ask(part.query.text)
        type_ = duckdb_type(pa.struct(list(rows.schema)))
        outer = self._reader.variables
        for row in rows.to_pylist():
            self._reader.variables = outer.new_child({part.name: Variable(row, type_)})
            try:
                if not self._once(part.body):
                    return
            finally:
                self._reader.variables = outer

    def _once(self, body: Block) -> bool:
        try:
            self.block(body)
        except _Jumped as jumped:
            return jumped.jump.again
        return True

    def _holds(self, condition: Piece) -> bool:
        value, type_ = self._value(condition)
        if type_ != pa.bool_() and value is not None:
            raise BadInput(f"{condition.place}: a condition is TRUE or FALSE, this is {type_}")
        return bool(value)

    def _value(self, piece: Piece) -> tuple[Any, pa.DataType]:
        return self._reader.value(read(piece.text), piece.text)


_ALLOWED = (
    "SELECT, CREATE and DROP of TABLE, VIEW and MODEL, TRUNCATE TABLE, INSERT, UPDATE, DELETE, MERGE, EXPORT, "
    "and in scripts DECLARE, SET, IF, WHILE, LOOP, FOR, BEGIN"
)


def _declared(piece: Piece) -> pa.DataType:
    blank = piece.text[: len(piece.text) - len(piece.text.lstrip())]
    tree = read(f"{blank}CAST(NULL AS {piece.text.strip()})")
    try:
        return arrow_type(tree.find(exp.DataType) or exp.DataType())
    except BadInput as error:
        raise BadInput(f"{piece.place}: {error}") from None


def _fitted(value: Any, type_: pa.DataType, place_: str) -> Any:
    try:
        pa.scalar(value, type_)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, TypeError) as error:
        raise BadInput(f"{place_}: the default does not fit {type_name(type_)} ({error})") from None
    return float(value) if type_ == pa.float64() and value is not None else value
