"""Cut a GoogleSQL text into statements, variables and blocks; each keeps its place in the text."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from sqlglot.dialects.bigquery import BigQuery
from sqlglot.errors import TokenError
from sqlglot.tokenizer_core import Token, TokenType

from questline_core.errors import BadInput
from questline_core.warehouse.where import EMPTY, unclosed


class _Tokens(BigQuery.Tokenizer):
    """GoogleSQL's words, without sqlglot's habit to take all that follows BEGIN or EXECUTE for one text."""

    COMMANDS = set[TokenType]()  # noqa: RUF012 - the type that sqlglot gives it


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of the text, with blanks in place of all that stands before it, so that places stay right."""

    text: str
    place: str
    words: tuple[str, ...]
    """The first words in upper case, which tell the kind of a statement."""


@dataclass(frozen=True, slots=True)
class Declare:
    """DECLARE names [type] [DEFAULT value]."""

    names: tuple[str, ...]
    type_: Piece | None
    value: Piece | None
    place: str


@dataclass(frozen=True, slots=True)
class Assign:
    """SET name = value, or SET (name, …) = (value, …)."""

    names: tuple[str, ...]
    value: Piece
    place: str


@dataclass(frozen=True, slots=True)
class Choice:
    """IF … THEN … [ELSEIF … THEN …] [ELSE …] END IF."""

    branches: tuple[tuple[Piece, Block], ...]
    otherwise: Block


@dataclass(frozen=True, slots=True)
class Repeat:
    """LOOP or WHILE: the body, as long as the condition holds."""

    condition: Piece | None
    body: Block


@dataclass(frozen=True, slots=True)
class ForEach:
    """FOR name IN (query) DO … END FOR."""

    name: str
    query: Piece
    body: Block


@dataclass(frozen=True, slots=True)
class Jump:
    """BREAK or LEAVE, CONTINUE or ITERATE."""

    again: bool
    place: str


@dataclass(frozen=True, slots=True)
class Block:
    """Statements in turn; variables that it declares end with it."""

    parts: tuple[Part, ...]


Part: TypeAlias = Piece | Declare | Assign | Choice | Repeat | ForEach | Jump | Block
_ENDS = ("END", "ELSE", "ELSEIF")
_REFUSED = {
    "REPEAT": "use WHILE or LOOP",
    "CASE": "use IF … ELSEIF … END IF",
    "EXECUTE": "write the statement out, and give values as parameters",
    "CALL": "there are no procedures here",
    "EXCEPTION": "there are no handlers of errors here",
    "RAISE": "use ERROR(…) in a query",
}


def cut(text: str) -> Block:
    """Cut a text into the parts of a script; a single query is a script of one part.

    Raises:
        BadInput: a block is not closed, or a statement of scripts is not known here; tells where.
    """
    reader = _Reader(text, words_of(text))
    block = reader.block(())
    if not block.parts:
        raise BadInput(EMPTY)
    return block


def words_of(text: str) -> list[Token]:
    """Cut a text into words.

    Raises:
        BadInput: a text or a comment in it is not closed.
    """
    try:
        return _Tokens().tokenize(text)
    except TokenError:
        raise unclosed(text, lambda part: _Tokens().tokenize(part)) from None


def place_of(token: Token) -> str:
    """Tell where in the text a token begins."""
    return f"line {token.line}, column {token.col - (token.end - token.start)}"


class _Reader:
    """Reads tokens from left to right."""

    def __init__(self, text: str, tokens: list[Token]) -> None:
        self._text, self._tokens, self._at = text, tokens, 0

    def block(self, ends: tuple[str, ...]) -> Block:
        """Read parts up to one of the words that end a block, which stays to be read."""
        parts = list[Part]()
        while True:
            while self._here() == ";":
                self._at += 1
            word = self._here()
            if word in ends or (not word and not ends):
                return Block(tuple(parts))
            if not word:
                raise BadInput(f"{self._place()}: the script ends before {' or '.join(ends)}; close the block")
            parts.append(self._part(word))

    def _part(self, word: str) -> Part:
        place = self._place()
        if word in _REFUSED:
            raise BadInput(f"{place}: the embedded warehouse does not run {word} in a script; {_REFUSED[word]}")
        ways: Mapping[str, Callable[[], Part]] = {
            "DECLARE": lambda: self._declare(place),
            "SET": lambda: self._assign(place),
            "IF": self._choice,
            "WHILE": lambda: self._repeat(word),
            "LOOP": lambda: self._repeat(word),
            "FOR": self._for,
            "BEGIN": self._begin,
            **dict.fromkeys(("BREAK", "LEAVE", "CONTINUE", "ITERATE"), lambda: self._jump(word, place)),
        }
        return ways[word]() if word in ways else self._piece(stop=())

    def _jump(self, word: str, place: str) -> Jump:
        self._at += 1
        return Jump(again=word in ("CONTINUE", "ITERATE"), place=place)

    def _begin(self) -> Part:
        if self._here(1) in ("TRANSACTION", ";", ""):
            raise BadInput(f"{self._place()}: the embedded warehouse has no transactions; each statement is one step")
        self._at += 1
        block = self.block(("END", "EXCEPTION"))
        if self._here() == "EXCEPTION":
            raise BadInput(f"{self._place()}: the embedded warehouse has no EXCEPTION; {_REFUSED['EXCEPTION']}")
        self._take("END")
        return block

    def _declare(self, place: str) -> Declare:
        self._at += 1
        names = [self._name()]
        while self._here() == ",":
            self._at += 1
            names.append(self._name())
        type_ = None if self._here() == "DEFAULT" else self._piece(stop=("DEFAULT",))
        value = None
        if self._here() == "DEFAULT":
            self._at += 1
            value = self._piece(stop=())
        return Declare(tuple(names), type_, value, place)

    def _assign(self, place: str) -> Assign:
        self._at += 1
        names = list[str]()
        if self._here() == "(":
            while self._here() in ("(", ","):
                self._at += 1
                names.append(self._name())
            self._take(")")
        else:
            names.append(self._name())
        self._take("=")
        return Assign(tuple(names), self._piece(stop=()), place)

    def _choice(self) -> Choice:
        branches = list[tuple[Piece, Block]]()
        while self._here() in ("IF", "ELSEIF"):
            self._at += 1
            condition = self._piece(stop=("THEN",))
            self._take("THEN")
            branches.append((condition, self.block(_ENDS)))
        otherwise = Block(())
        if self._here() == "ELSE":
            self._at += 1
            otherwise = self.block(("END",))
        self._take("END", "IF")
        return Choice(tuple(branches), otherwise)

    def _repeat(self, word: str) -> Repeat:
        self._at += 1
        condition = None
        if word == "WHILE":
            condition = self._piece(stop=("DO",))
            self._take("DO")
        body = self.block(("END",))
        self._take("END", word)
        return Repeat(condition, body)

    def _for(self) -> ForEach:
        self._at += 1
        name = self._name()
        self._take("IN")
        query = self._piece(stop=("DO",))
        self._take("DO")
        body = self.block(("END",))
        self._take("END", "FOR")
        return ForEach(name, query, body)

    def _piece(self, stop: tuple[str, ...]) -> Piece:
        """Read up to a semicolon, or up to a word that is in no bracket and no CASE."""
        first, depth = self._at, 0
        while (word := self._here()) and word != ";":
            if depth == 0 and word in stop:
                break
            depth += (word in ("(", "[", "CASE")) - (word in (")", "]") or (word == "END" and depth > 0))
            self._at += 1
        if first == self._at:
            raise BadInput(f"{self._place()}: something is missing here in the script")
        tokens = self._tokens[first : self._at]
        start, end = tokens[0].start, tokens[-1].end + 1
        before = re.sub(r"[^\n]", " ", self._text[:start])
        words = tuple(token.text.upper() for token in tokens[:5])
        return Piece(before + self._text[start:end], place_of(tokens[0]), words)

    def _here(self, ahead: int = 0) -> str:
        index = self._at + ahead
        if index >= len(self._tokens):
            return ""
        token = self._tokens[index]
        return "'" if token.token_type in (TokenType.STRING, TokenType.IDENTIFIER) else token.text.upper()

    def _place(self) -> str:
        return place_of(self._tokens[min(self._at, len(self._tokens) - 1)])

    def _name(self) -> str:
        token = self._tokens[min(self._at, len(self._tokens) - 1)]
        if not re.fullmatch(r"[A-Za-z_]\w*", token.text):
            raise BadInput(f"{place_of(token)}: {token.text!r} is no name of a variable")
        self._at += 1
        return token.text.lower()

    def _take(self, *words: str) -> None:
        for word in words:
            if self._here() != word:
                raise BadInput(f"{self._place()}: {word} is missing here in the script")
            self._at += 1
