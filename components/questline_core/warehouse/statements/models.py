"""Hand BigQuery ML to `questline_core.bqml`: statements about models, EXPORT DATA, and ML functions in FROM.

`questline_core.bqml.hook` offers `run(asked)` for CREATE MODEL, DROP MODEL, EXPORT MODEL and EXPORT DATA, and
`call(asked)` for `ML.NAME(…)` in FROM; both give an Arrow table, and raise BadInput that tells the place.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlglot import exp
from sqlglot.tokenizer_core import Token

from questline_core.errors import BadInput
from questline_core.warehouse.statements.script import place_of, words_of

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What BigQuery ML is asked for."""

    text: str
    """The statement or the call; blanks stand for all before it, so that lines and columns are those of the script."""
    place: str
    root: Path
    """The warehouse's folder: a table is a folder DATASET/TABLE in it."""
    query: Callable[[str], pa.Table]
    """Runs a GoogleSQL query with the script's parameters, variables and WITH clauses."""
    version: Callable[[str], str]
    """Names the version of a table's content."""


@dataclass(frozen=True, slots=True)
class Call:
    """An ML function in FROM, and the name of the relation that stands for its rows."""

    relation: str
    text: str
    place: str


def is_about_models(words: Sequence[str]) -> bool:
    """Tell whether a statement with these first words is for BigQuery ML."""
    kind = [word for word in words[1:4] if word not in ("OR", "REPLACE", "TEMP", "TEMPORARY")]
    return words[0] in ("CREATE", "DROP", "ALTER", "EXPORT") and kind[:1] in (["MODEL"], ["DATA"])


def take_out(text: str) -> tuple[str, list[Call]]:
    """Put a name in place of each ML function in FROM; the text keeps its lines and columns."""
    tokens, calls, at = words_of(text), list[Call](), 0
    while at < len(tokens):
        if not _is_function(tokens, at):
            at += 1
            continue
        if not _is_table(tokens, at):
            name = f"ML.{tokens[at + 2].text.upper()}"
            raise BadInput(
                f"{place_of(tokens[at])}: {name} cannot stand here; functions of a model are tables, such as "
                "FROM ML.PREDICT(MODEL …, TABLE …), and functions of columns stand in TRANSFORM of CREATE MODEL"
            )
        end = _closing(tokens, at + 3)
        first, last = tokens[at].start, tokens[end].end + 1
        name = f"_ml{len(calls)}"
        blank = re.sub(r"[^\n]", " ", text[:first])
        calls.append(Call(name, blank + text[first:last], place_of(tokens[at])))
        text = text[:first] + name + re.sub(r"[^\n]", " ", text[first + len(name) : last]) + text[last:]
        at = end + 1
    return text, calls


def _is_function(tokens: list[Token], at: int) -> bool:
    words = [token.text.upper() for token in tokens[at : at + 4]]
    return words[:2] == ["ML", "."] and words[3:] == ["("]


def _is_table(tokens: list[Token], at: int) -> bool:
    """Tell whether a function stands in FROM; after a comma, it does when a model is its first argument."""
    before = tokens[at - 1].text.upper() if at else ""
    first = tokens[at + 4].text.upper() if at + 4 < len(tokens) else ""
    return before in ("FROM", "JOIN") or (before == "," and first == "MODEL")


def _closing(tokens: list[Token], at: int) -> int:
    depth = 0
    for index in range(at, len(tokens)):
        depth += (tokens[index].text == "(") - (tokens[index].text == ")")
        if depth == 0:
            return index
    raise BadInput(f"{place_of(tokens[at])}: this bracket is not closed")


def visible_clauses(tree: exp.Expr, relation: str) -> list[exp.CTE]:
    """List the WITH clauses that a call may read, outer ones first."""
    node: exp.Expr | None = next((t for t in tree.find_all(exp.Table) if t.name == relation and not t.db), None)
    found = list[exp.CTE]()
    while node is not None and (parent := node.parent) is not None:
        clauses = parent.args.get("with_") if isinstance(parent, exp.Query) else None
        if isinstance(parent, exp.With):
            found = [*parent.expressions[: parent.expressions.index(node)], *found]
            parent = parent.parent
        elif clauses is not None and node is not clauses:
            found = [*clauses.expressions, *found]
        node = parent
    return found


def hook(place: str) -> Any:
    """Give the module that knows BigQuery ML.

    Raises:
        BadInput: this installation has none.
    """
    try:
        return importlib.import_module("questline_core.bqml.hook")
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("questline_core"):
            raise BadInput(f"{place}: BigQuery ML and EXPORT DATA are not part of this installation") from None
        raise BadInput(f"{place}: BigQuery ML needs the package {error.name}; install questline[bqml]") from None
