"""ML table functions in a query: where they stand, what they are given, and the query with rows in their place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from questline_core.bqml.answers import ANSWERS
from questline_core.bqml.functions import FUNCTIONS
from questline_core.bqml.text import Span, Text, listed
from questline_core.errors import BadInput


@dataclass(frozen=True, slots=True)
class Call:
    """One ML table function of a query, by numbers of tokens."""

    name: str
    first: int
    opening: int
    after: int


def find_calls(text: Text) -> Iterator[Call]:
    """Find the table functions that are not within another one.

    Raises:
        BadInput: there is an ML function that is none of them.
    """
    index = 0
    while index < len(text.tokens):
        if text.word(index) == "ML" and text.word(index + 1) == "." and text.word(index + 3) == "(":
            name = text.word(index + 2)
            if name not in ANSWERS:
                raise BadInput(f"{text.place(index)}: {_unknown(name)}")
            if text.word(index - 1) not in ("FROM", "JOIN", ",", ""):
                raise BadInput(f"{text.place(index)}: ML.{name} gives a table; write it after FROM or JOIN")
            call = Call(name, index, index + 3, text.closing(index + 3) + 1)
            yield call
            index = call.after
        else:
            index += 1


def _unknown(name: str) -> str:
    if name in FUNCTIONS:
        return f"ML.{name} is supported in the TRANSFORM clause of CREATE MODEL only"
    return f"there is no function ML.{name} here; supported are {listed([f'ML.{known}' for known in sorted(ANSWERS)])}"


def replaced(text: Text, calls: list[Call], names: list[str]) -> str:
    """Put names in the place of calls; all other words stay on their line and column."""
    parts, at = list[str](), 0
    for call, name in zip(calls, names, strict=True):
        span = text.span(call.first, call.after)
        parts += [text.text[at : span.start], filled(name, text.text[span.start : span.stop])]
        at = span.stop
    return "".join(parts) + text.text[at:]


def input_query(text: Text, first: int, after: int) -> str:
    """Make a query of a function's argument, (query) or TABLE name, with the WITH clauses that it may use.

    All words stay on their line and column.

    Raises:
        BadInput: the argument is neither.
    """
    table = text.word(first) == "TABLE"
    if not table and text.word(first) != "(":
        raise BadInput(f"{text.place(first)}: expected TABLE name or (query), found {text.tokens[first].text!r}")
    clauses = [text.span(*clause) for clause in visible_clauses(text, first)]
    parts, at = list[str](), 0
    for number, span in enumerate(clauses):
        gap = text.text[at : span.start]
        lead = filled(",", gap) if number else filled("WITH ", gap, right=True)
        parts += [lead, text.text[span.start : span.stop]]
        at = span.stop
    argument = text.span(first + table, after)
    lead = filled("SELECT * FROM ", text.text[at : argument.start], right=True)
    return "".join([*parts, lead, text.text[argument.start : argument.stop]])


def visible_clauses(text: Text, index: int) -> list[tuple[int, int]]:
    """Find the WITH clauses that a word may name: for each its first token and the one after its last."""
    found, at = list[tuple[int, int]](), 0
    while at < index:
        word = text.word(at)
        starts = word == "WITH" and (at == 0 or text.word(at - 1) in ("(", "AS", ";"))
        if starts or (found and found[-1][1] == at and word == ","):
            name = at + 1 + (text.word(at + 1) == "RECURSIVE")
            opening = name + 2
            if text.word(name + 1) == "AS" and text.word(opening) == "(":
                after = text.closing(opening) + 1
                if after <= index:
                    found.append((name, after))
                    at = after
                else:
                    at = opening + 1
                continue
        elif word == "(" and text.closing(at) < index:
            at = text.closing(at)
        at += 1
    return found


def filled(words: str, gap: str, *, right: bool = False) -> str:
    """Write words in the place of a part of the text, with the line breaks and the width that it had."""
    lines = gap.count("\n")
    if lines:
        return words + "\n" * lines + " " * (len(gap) - gap.rfind("\n") - 1)
    return words.rjust(len(gap)) if right else words.ljust(len(gap))


def blanked(text: Text, span: Span) -> str:
    """Keep one part of the text, on its line and column."""
    return filled("", text.text[: span.start]) + text.text[span.start : span.stop]
