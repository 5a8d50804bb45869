"""BigQuery ML statements, carried out: models in a folder, rows from whatever runs GoogleSQL."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from questline_core.bqml import exports, imported
from questline_core.bqml.answers import ANSWERS, Question
from questline_core.bqml.calls import Call, blanked, find_calls, input_query, replaced
from questline_core.bqml.duck import DuckDbTables
from questline_core.bqml.export_data import export_data
from questline_core.bqml.imported import Imported
from questline_core.bqml.literals import is_number
from questline_core.bqml.model import Model, read_model
from questline_core.bqml.options import IMPORTED, Options, read_options
from questline_core.bqml.store import ModelStore, model_name
from questline_core.bqml.text import Reader, Text, listed
from questline_core.bqml.training import Order, train
from questline_core.bqml.transform import Ask, Transform, read_transform
from questline_core.errors import BadInput
from questline_core.warehouse.where import at

if TYPE_CHECKING:
    import duckdb

_MOST_THRESHOLDS = 100_000
_NOTHING: pa.Table = pa.table({})


@dataclass(frozen=True, slots=True)
class _Create:
    """CREATE MODEL as it was read."""

    name: str
    place: str
    replace: bool
    if_missing: bool
    options: Options
    transform: Transform | None
    query: str | None


class Statements:
    """Carries out BigQuery ML statements; queries go to `ask`, which knows the tables."""

    def __init__(self, ask: Ask, folder: Path, *, seed: int = 0) -> None:
        """Keep models in a folder; `seed` decides on random splits, samples and first weights."""
        self._ask, self.models, self._seed = ask, ModelStore(folder), seed

    def run(self, sql: str, **parameters: Any) -> pa.Table:
        """Run one statement: a BigQuery ML one gives an empty table, a query its rows.

        Raises:
            BadInput: the statement cannot be carried out; tells where in the text and what is allowed.
        """
        done = self.execute(sql, parameters)
        return self._rows(sql, parameters) if done is None else done

    def execute(self, sql: str, parameters: Mapping[str, Any]) -> pa.Table | None:
        """Carry out CREATE MODEL, DROP MODEL, EXPORT MODEL or EXPORT DATA; None for any other statement.

        Raises:
            BadInput: as `run`.
        """
        text = Text(sql)
        reader = Reader(text, parameters)
        for words, step in self._steps().items():
            if reader.accept(*words.split()):
                step(reader)
                return _NOTHING
        return None

    def expand(self, sql: str, parameters: Mapping[str, Any]) -> tuple[str, dict[str, pa.Table]]:
        """Answer the ML table functions of any statement: gives it with names in their place, and what they name.

        Raises:
            BadInput: a function is unknown, or cannot answer; tells where.
        """
        text = Text(sql)
        calls = list(find_calls(text))
        names = [f"_ml_{call.first}" for call in calls]
        answers = [self.answer(text, call, parameters) for call in calls]
        return replaced(text, calls, names), dict(zip(names, answers, strict=True))

    def _steps(self) -> Mapping[str, Callable[[Reader], None]]:
        return {
            "CREATE OR REPLACE MODEL": lambda reader: self._create(reader, replace=True),
            "CREATE MODEL": lambda reader: self._create(reader, replace=False),
            "DROP MODEL": self._drop,
            "EXPORT MODEL": self._export_model,
            "EXPORT DATA": self._export_data,
        }

    def _rows(self, sql: str, parameters: Mapping[str, Any]) -> pa.Table:
        sql, relations = self.expand(sql, parameters)
        return self._ask(sql, relations, parameters)

    def _create(self, reader: Reader, *, replace: bool) -> None:
        wanted = _read_create(reader, replace=replace)
        if self.models.has(wanted.name) and not replace:
            if wanted.if_missing:
                return
            raise BadInput(f"{wanted.place}: there is a model {wanted.name} already; write CREATE OR REPLACE MODEL")
        if wanted.options.model_type in IMPORTED:
            copy = partial(imported.copy, options=wanted.options, statement=reader.text.text)
            with at(wanted.place):
                self.models.put(wanted.name, copy)
            return
        if wanted.query is None:
            raise reader.wrong("AS and the query that gives the training rows")
        rows = self._rows(wanted.query, reader.parameters)
        order = Order(statement=reader.text.text, options=wanted.options, transform=wanted.transform, seed=self._seed)
        with at(wanted.place):
            self.models.put(wanted.name, train(order, rows, self._ask))

    def _drop(self, reader: Reader) -> None:
        if_there = reader.accept("IF", "EXISTS")
        name = self._known_name(reader, may_miss=if_there)
        _end(reader)
        self.models.drop(name)

    def _export_model(self, reader: Reader) -> None:
        name = self._known_name(reader)
        reader.expect("OPTIONS")
        uri, place = exports.read_uri(reader)
        _end(reader)
        with at(place):
            exports.export_model(self._model(name), uri)

    def _export_data(self, reader: Reader) -> None:
        export_data(reader, lambda sql: self._rows(sql, reader.parameters))

    def _known_name(self, reader: Reader, *, may_miss: bool = False) -> str:
        place = reader.text.place(reader.index)
        name = model_name(reader.name(), place)
        if not may_miss:
            with at(place):
                self.models.current(name)
        return name

    def _model(self, name: str) -> Model | Imported:
        model = read_model(self.models.current(name))
        return Imported(model.folder, model.facts) if model.type in IMPORTED else model

    def answer(self, text: Text, call: Call, parameters: Mapping[str, Any]) -> pa.Table:
        """Answer one ML table function of a query.

        Raises:
            BadInput: it cannot answer; tells where.
        """
        answer, arguments, place = ANSWERS[call.name], text.arguments(call.opening), text.place(call.first)
        reader = Reader(text, parameters, call.opening + 1)
        reader.expect("MODEL")
        name = self._known_name(reader)
        if not arguments or reader.index != arguments[0][1]:
            raise reader.wrong("a comma or )")
        rows, settings, thresholds = None, dict[str, Any](), None
        for first, after in arguments[1:]:
            word = text.word(first)
            if word == "STRUCT" and not settings:
                settings = _settings(Reader(text, parameters, first), after, call.name)
            elif answer.thresholds and word in ("GENERATE_ARRAY", "[", "@") and thresholds is None:
                thresholds = _thresholds(Reader(text, parameters, first), after)
            elif answer.rows == "none" or rows is not None or settings or thresholds is not None:
                raise BadInput(
                    f"{text.place(first)}: ML.{call.name} takes nothing more here; "
                    f"after its model goes {answer.takes()}"
                )
            else:
                rows = self._rows(input_query(text, first, after), parameters)
        if rows is None and answer.rows == "needed":
            raise BadInput(f"{place}: ML.{call.name} needs rows: (query) or TABLE name after the model")
        model = self._model(name)
        if isinstance(model, Imported):
            if call.name != "PREDICT" or rows is None:
                raise BadInput(f"{place}: {name} is an imported TENSORFLOW model; it answers ML.PREDICT only")
            with at(place):
                return model.predict(rows)
        question = Question(model=model, rows=rows, settings=settings, thresholds=thresholds, ask=self._ask)
        with at(place):
            return answer.answer(question)


class Executor(Statements):
    """BigQuery ML on any DuckDB: DATASET.TABLE is the connection's table TABLE in its schema DATASET."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, folder: Path | str, *, seed: int = 0) -> None:
        """Run queries on a connection and keep models in a folder, which need not exist yet."""
        super().__init__(DuckDbTables(connection).ask, Path(folder), seed=seed)


def _read_create(reader: Reader, *, replace: bool) -> _Create:
    if_missing = not replace and reader.accept("IF", "NOT", "EXISTS")
    place = reader.text.place(reader.index)
    name = model_name(reader.name(), place)
    clause = reader.text.place(reader.index)
    transform = read_transform(reader) if reader.accept("TRANSFORM") else None
    if not reader.accept("OPTIONS"):
        raise reader.wrong("TRANSFORM(…) or OPTIONS(MODEL_TYPE = …, …)" if transform is None else "OPTIONS(…)")
    options, query = read_options(reader), None
    if options.model_type in IMPORTED and transform is not None:
        raise BadInput(
            f"{clause}: an imported model takes no TRANSFORM; transform the rows that are given to ML.PREDICT"
        )
    if reader.accept("AS"):
        if reader.done():
            raise reader.wrong("the query that gives the training rows")
        if options.model_type in IMPORTED:
            raise BadInput(
                f"{reader.text.place(reader.index - 1)}: an imported model takes no query; end after OPTIONS(…)"
            )
        last = len(reader.text.tokens) - (reader.text.word(len(reader.text.tokens) - 1) == ";")
        query = blanked(reader.text, reader.text.span(reader.index, last))
    else:
        _end(reader)
    return _Create(name, place, replace, if_missing, options, transform, query)


def _thresholds(reader: Reader, after: int) -> list[float]:
    """Read GENERATE_ARRAY(first, last[, step]), an array of numbers or a parameter."""
    place = reader.text.place(reader.index)
    if reader.accept("GENERATE_ARRAY"):
        ends = reader.literals()
        step = (ends[2:] or [1])[0]
        if len(ends) not in (2, 3) or not all(map(is_number, ends)) or step <= 0:
            raise BadInput(f"{place}: write GENERATE_ARRAY(first, last, step) with numbers and a step above 0")
        count = math.floor((ends[1] - ends[0]) / step + 1e-9) + 1
        numbers = [ends[0] + i * step for i in range(min(count, _MOST_THRESHOLDS + 1))]
    else:
        numbers = reader.value()
    if reader.index != after:
        raise reader.wrong("a comma or )")
    if not (isinstance(numbers, list) and 0 < len(numbers) <= _MOST_THRESHOLDS and all(map(is_number, numbers))):
        raise BadInput(f"{place}: thresholds are an array of 1 to {_MOST_THRESHOLDS:,} numbers")
    return [float(number) for number in numbers]


def _end(reader: Reader) -> None:
    if not reader.done():
        raise reader.wrong("the end of the statement")


def _settings(reader: Reader, after: int, function: str) -> dict[str, Any]:
    text, first, allowed = reader.text, reader.index, ANSWERS[function].settings
    found = reader.value()
    if reader.index != after:
        raise reader.wrong("a comma or )")
    if not isinstance(found, dict):
        such = f", such as STRUCT(… AS {next(iter(allowed))})" if allowed else ""
        raise BadInput(f"{text.place(first)}: name the fields of this STRUCT{such}")
    for name, value in found.items():
        place = text.place(next(i for i in range(first, after) if text.tokens[i].text == name))
        kind = allowed.get(name.lower())
        if kind is None:
            takes = f"its settings are {listed(list(allowed))}" if allowed else "it has none"
            raise BadInput(f"{place}: ML.{function} has no setting {name}; {takes}")
        if not kind.fits(value):
            raise BadInput(f"{place}: {kind.refusal(f'the {name}', value)}")
    return {name.lower(): value for name, value in found.items()}
