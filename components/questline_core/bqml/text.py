"""The text of one statement: its tokens, where they stand, and parts of it with all else blanked out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

from sqlglot.dialects.bigquery import BigQuery
from sqlglot.errors import TokenError
from sqlglot.tokenizer_core import Token, TokenType

from questline_core.errors import BadInput
from questline_core.warehouse.where import place_at, unclosed

Places: TypeAlias = Mapping[str, str]
"""Where in the text the name of an option stands."""
_QUOTED = (TokenType.STRING, TokenType.IDENTIFIER, TokenType.RAW_STRING, TokenType.BYTE_STRING)


@dataclass(frozen=True, slots=True)
class Span:
    """A part of the text, from one offset to another."""

    start: int
    stop: int


@dataclass(frozen=True)
class Text:
    """A statement as it was sent."""

    text: str

    @cached_property
    def tokens(self) -> list[Token]:
        """Split the text into tokens.

        Raises:
            BadInput: a quote or a comment does not end.
        """
        try:
            return BigQuery().tokenize(self.text)
        except TokenError:
            raise unclosed(self.text, BigQuery().tokenize) from None

    def place(self, index: int) -> str:
        """Tell where a token begins; an index past the last one is the end of the text."""
        return place_at(self.text, self.tokens[index].start if index < len(self.tokens) else len(self.text))

    def word(self, index: int) -> str:
        """Give a token as an upper-case word; nothing for quoted ones and past the end."""
        if not 0 <= index < len(self.tokens) or self.tokens[index].token_type in _QUOTED:
            return ""
        return self.tokens[index].text.upper()

    def span(self, first: int, after: int) -> Span:
        """Give the part of the text from one token up to, and without, another."""
        stop = self.tokens[after - 1].end + 1 if after > first else self.tokens[first].start
        return Span(self.tokens[first].start, stop)

    def only(self, *spans: Span) -> str:
        """Blank out all but these parts, so that places in them stay what they are."""
        kept = list[str]()
        for offset, char in enumerate(self.text):
            kept.append(char if char == "\n" or any(s.start <= offset < s.stop for s in spans) else " ")
        return "".join(kept).rstrip()

    def closing(self, opening: int) -> int:
        """Find the token that closes a bracket.

        Raises:
            BadInput: nothing closes it.
        """
        depth = 0
        for index in range(opening, len(self.tokens)):
            depth += self.word(index) in ("(", "[", "{")
            depth -= self.word(index) in (")", "]", "}")
            if depth == 0:
                return index
        raise BadInput(f"{self.place(opening)}: nothing closes this bracket")

    def arguments(self, opening: int) -> list[tuple[int, int]]:
        """Split what stands in brackets at its commas: for each argument its first token and the one after its last."""
        close = self.closing(opening)
        found, first, index = list[tuple[int, int]](), opening + 1, opening + 1
        while index < close:
            if self.word(index) in ("(", "[", "{"):
                index = self.closing(index)
            elif self.word(index) == ",":
                found.append((first, index))
                first = index + 1
            index += 1
        return [*found, (first, close)] if first < close or found else []


class Reader:
    """Reads a statement token by token."""

    def __init__(self, text: Text, parameters: Mapping[str, Any], index: int = 0) -> None:
        self.text, self.parameters, self.index = text, parameters, index

    def done(self) -> bool:
        """Tell whether all tokens are read."""
        return self.index >= len(self.text.tokens) or self.text.word(self.index) == ";"

    def accept(self, *words: str) -> bool:
        """Read these words if they come next."""
        if all(self.text.word(self.index + i) == word for i, word in enumerate(words)):
            self.index += len(words)
            return True
        return False

    def expect(self, *words: str) -> None:
        """Read these words.

        Raises:
            BadInput: something else stands here.
        """
        if not self.accept(*words):
            raise self.wrong(" ".join(words))

    def wrong(self, expected: str) -> BadInput:
        """Make the error that something else is expected here."""
        got = "the end of the text" if self.done() else repr(self.text.tokens[self.index].text)
        return BadInput(f"{self.text.place(self.index)}: expected {expected}, found {got}")

    def name(self) -> str:
        """Read a path such as `project.dataset.model`, quoted whole, in parts or not at all."""
        parts = [self._part()]
        while self.accept("."):
            parts.append(self._part())
        return ".".join(parts)

    def _part(self) -> str:
        token = self.text.tokens[self.index] if not self.done() else None
        word = token is not None and (token.token_type is TokenType.IDENTIFIER or token.text.isidentifier())
        if token is None or not word or token.token_type is TokenType.STRING:
            raise self.wrong("a name")
        self.index += 1
        return token.text

    def skip_brackets(self) -> tuple[int, int]:
        """Read what stands in brackets; gives its opening token and the one after its closing one."""
        if self.text.word(self.index) != "(":
            raise self.wrong("(")
        opening = self.index
        self.index = self.text.closing(opening) + 1
        return opening, self.index

    def value(self) -> Any:
        """Read a literal: text, number, TRUE, FALSE, NULL, @parameter, array or STRUCT (named fields as a dict)."""
        if self.done():
            raise self.wrong("a value")
        token, start = self.text.tokens[self.index], self.index
        if token.token_type in (TokenType.STRING, TokenType.RAW_STRING):
            self.index += 1
            return token.text
        word = self.text.word(self.index)
        if word in ("TRUE", "FALSE", "NULL"):
            self.index += 1
            return {"TRUE": True, "FALSE": False, "NULL": None}[word]
        if word == "@":
            return self._parameter()
        if word == "[":
            return self._items(self.index)
        if self.accept("STRUCT"):
            return self._struct()
        sign = -1 if self.accept("-") else 1
        point = "0." if self.accept(".") else ""
        if not self.done() and self.text.tokens[self.index].token_type is TokenType.NUMBER:
            number = point + self.text.tokens[self.index].text
            self.index += 1
            return sign * (int(number) if number.isdigit() else float(number))
        self.index = start
        raise self.wrong("a value (text, a number, TRUE, FALSE, NULL, @parameter, [array] or STRUCT(…))")

    def options(self, known: Callable[[str, str], str], value: Callable[[str], Any]) -> tuple[dict[str, Any], Places]:
        """Read (NAME = value, …): the values, and the place of each name.

        `known` gives the name that is meant by a name at a place, `value` reads a value.

        Raises:
            BadInput: a name comes twice, or something else stands there.
        """
        opening = self.skip_brackets()[0]
        after_all, found, places = self.index, dict[str, Any](), dict[str, str]()
        for first, after in self.text.arguments(opening):
            self.index = first
            name = known(self.name().upper(), self.text.place(first))
            if name in found:
                raise BadInput(f"{self.text.place(first)}: the option {name} is given twice; leave one out")
            self.expect("=")
            places[name] = self.text.place(first)
            found[name] = value(name)
            if self.index != after:
                raise self.wrong("a comma or )")
        self.index = after_all
        return found, places

    def _parameter(self) -> Any:
        self.expect("@")
        place, name = self.text.place(self.index - 1), self._part()
        if name not in self.parameters:
            raise BadInput(f"{place}: the statement uses @{name}, but no value was given for it")
        return self.parameters[name]

    def literals(self) -> list[Any]:
        """Read literals in brackets."""
        return self._items(self.skip_brackets()[0])

    def _items(self, opening: int) -> list[Any]:
        items = list[Any]()
        for first, after in self.text.arguments(opening):
            self.index = first
            items.append(self.value())
            if self.index != after:
                raise self.wrong("a comma, ) or ]")
        self.index = self.text.closing(opening) + 1
        return items

    def _struct(self) -> Any:
        opening = self.skip_brackets()[0]
        values, names = list[Any](), list[str]()
        for first, after in self.text.arguments(opening):
            self.index = first
            values.append(self.value())
            if self.accept("AS"):
                place, name = self.text.place(self.index), self._part()
                if name.lower() in map(str.lower, names):
                    raise BadInput(f"{place}: the field {name} is given twice; leave one out")
                names.append(name)
            if self.index != after:
                raise self.wrong("a comma or )")
        self.index = self.text.closing(opening) + 1
        return dict(zip(names, values, strict=True)) if values and len(names) == len(values) else tuple(values)


def listed(names: Sequence[str]) -> str:
    """Write names as a list for a sentence."""
    return ", ".join(names)
