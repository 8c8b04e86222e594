"""Reading SQLite's stored CREATE statements where no pragma tells: index expressions, WHERE, COLLATE, DEFERRED.

Not a parser: SQLite has accepted the text already, so splitting it into tokens, and those at the
top-level commas, is enough.  Pure; no database is touched.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Literal, NamedTuple

from shared.sqlite.connection import quote

_TOKEN = re.compile(
    r"""
    (?P<space> \s+ | --[^\n]* | /\*.*?(?:\*/|\Z) )
  | (?P<blob> [xX]'[0-9a-fA-F]*' )
  | (?P<string> '(?:[^']|'')*' )
  | (?P<quoted> "(?:[^"]|"")*" | `(?:[^`]|``)*` | \[[^\]]*\] )
  | (?P<number> 0[xX][0-9a-fA-F]+ | (?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)? )
  | (?P<word> [^\W\d][\w$]* )
  | (?P<sign> ->> | -> | \|\| | << | >> | <= | >= | <> | != | == | . )
    """,
    re.VERBOSE | re.DOTALL,
)

Kind = Literal["blob", "string", "quoted", "number", "word", "sign"]


class Token(NamedTuple):
    """A piece of SQL; ``text`` as it stands there."""

    kind: Kind
    text: str

    @property
    def name(self) -> str:
        """The identifier that it spells, without its quotes."""
        if self.kind != "quoted":
            return self.text
        mark = self.text[0]
        inner = self.text[1:-1]
        return inner if mark == "[" else inner.replace(mark * 2, mark)

    def is_word(self, *words: str) -> bool:
        """Whether it is one of these (upper-case) keywords, unquoted."""
        return self.kind == "word" and self.text.upper() in words

    def names(self, name: str) -> bool:
        """Whether it is, or may be, the identifier of that name."""
        return self.kind in ("word", "quoted") and fold(self.name) == fold(name)


def fold(name: str) -> str:
    """How SQLite compares names: ASCII letters without case, all others exactly."""
    return name.lower() if name.isascii() else "".join(c.lower() if c.isascii() else c for c in name)


@lru_cache(maxsize=2_000)
def tokens(sql: str) -> tuple[Token, ...]:
    """The tokens of a text, without spaces and comments."""
    found = []
    for match in _TOKEN.finditer(sql):
        kind: Kind | Literal["space"] = match.lastgroup  # type: ignore[assignment]
        if kind != "space":
            found.append(Token(kind, match.group()))
    return tuple(found)


def is_single_word(sql: str) -> bool:
    """Whether the text is one unquoted word."""
    parts = tokens(sql)
    return len(parts) == 1 and parts[0].kind == "word"


def text_of(parts: Sequence[Token]) -> str:
    """The tokens as SQL again."""
    return " ".join(token.text for token in parts)


def split_body(sql: str) -> tuple[list[list[Token]], list[Token]]:
    """What stands between the first parentheses, split at its commas, and what follows them."""
    parts: list[list[Token]] = [[]]
    stream = iter(tokens(sql))
    for token in stream:
        if token.text == "(":
            break
    depth = 1
    for token in stream:
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        if depth == 0:
            break
        if depth == 1 and token.text == ",":
            parts.append([])
        else:
            parts[-1].append(token)
    return [part for part in parts if part], list(stream)


def index_expressions(sql: str) -> list[str]:
    """The indexed terms of a CREATE INDEX, in order, without COLLATE and ASC or DESC."""
    return [text_of(_strip_suffixes(part)) for part in split_body(sql)[0]]


def index_where(sql: str) -> str:
    """The WHERE of a partial index, or nothing."""
    rest = split_body(sql)[1]
    return text_of(rest[1:]) if rest and rest[0].is_word("WHERE") else ""


def _strip_suffixes(part: list[Token]) -> list[Token]:
    if part[-1].is_word("ASC", "DESC"):
        part = part[:-1]
    if len(part) > 2 and part[-2].is_word("COLLATE"):  # noqa: PLR2004  (a term, COLLATE and its name)
        part = part[:-2]
    return part


def column_definitions(sql: str) -> Iterator[tuple[str, list[Token]]]:
    """Name and tokens of each definition in a CREATE TABLE (table constraints come under their first word)."""
    for part in split_body(sql)[0]:
        yield part[0].name, part


def _top_level(part: list[Token]) -> list[Token]:
    """The tokens outside of parentheses."""
    depth, found = 0, []
    for token in part:
        if token.text == ")":
            depth -= 1
        if depth == 0:
            found.append(token)
        if token.text == "(":
            depth += 1
    return found


def column_collations(sql: str) -> dict[str, str]:
    """The COLLATE of each column that has one, by folded name."""
    found = {}
    for name, part in column_definitions(sql):
        outside = _top_level(part)
        for before, after in pairwise(outside[1:]):
            if before.is_word("COLLATE"):
                found[fold(name)] = after.name.upper()
    return found


def deferred_references(sql: str) -> list[bool]:
    """For each REFERENCES of a CREATE TABLE, in order, whether it is INITIALLY DEFERRED."""
    found = []
    for _, part in column_definitions(sql):
        for clause in _clauses(_top_level(part)):
            words = " ".join(token.text.upper() for token in clause)
            found.append("INITIALLY DEFERRED" in words and "NOT DEFERRABLE" not in words)
    return found


def _clauses(part: list[Token]) -> Iterator[list[Token]]:
    starts = [place for place, token in enumerate(part) if token.is_word("REFERENCES")]
    for start, end in pairwise([*starts, len(part)]):
        yield part[start:end]


def mentioned(sql: str, columns: Collection[str]) -> list[str]:
    """Those of the columns that an expression may read."""
    names = {fold(token.name) for token in tokens(sql) if token.kind in ("word", "quoted")}
    return [column for column in columns if fold(column) in names]


def unambiguous(sql: str, table: str, columns: Collection[str]) -> str:
    """The expression for use under another table name.

    The table's name before a column goes; a "string" in double quotes, which SQLite takes for a text
    where no column has that name, becomes one in single quotes.
    """
    known = {fold(column) for column in columns}
    found: list[Token] = []
    for token in _without_qualifier(tokens(sql), table):
        if token.kind == "quoted" and fold(token.name) in known:
            found.append(Token("quoted", quote(token.name)))
        elif token.text.startswith('"'):
            found.append(Token("string", "'" + token.name.replace("'", "''") + "'"))
        else:
            found.append(token)
    return text_of(found)


def _without_qualifier(parts: Sequence[Token], table: str) -> Iterator[Token]:
    skip = 0
    for token, following in pairwise([*parts, Token("sign", "")]):
        if skip:
            skip -= 1
        elif following.text == "." and token.names(table):
            skip = 1
        else:
            yield token


def functions(sql: str) -> set[str]:
    """The names, in lower case, of whatever is called in an expression; ``->`` and ``->>`` count as calls."""
    parts = tokens(sql)
    found = {token.text for token in parts if token.text in ("->", "->>")}
    for token, following in pairwise(parts):
        if token.kind in ("word", "quoted") and following.text == "(":
            found.add(token.name.lower())
    return found


def raises(sql: str, *kinds: str) -> bool:
    """Whether a trigger holds RAISE(kind) of one of these kinds.

    After IGNORE and FAIL the row stays changed, and no trigger that was still to run does.
    """
    words = [token.text.upper() for token in tokens(sql)]
    wanted = [["RAISE", "(", kind] for kind in kinds]
    return any(words[at : at + 3] in wanted for at in range(len(words)))


def is_after(sql: str) -> bool:
    """Whether a CREATE TRIGGER makes an AFTER trigger; unless it says so, it is a BEFORE trigger."""
    for token in tokens(sql):
        if token.is_word("AFTER", "BEFORE", "INSTEAD", "INSERT", "UPDATE", "DELETE"):
            return token.is_word("AFTER")
    return False


def event_of(sql: str) -> str:
    """INSERT, UPDATE or DELETE: what a CREATE TRIGGER waits for."""
    return next(token.text.upper() for token in tokens(sql) if token.is_word("INSERT", "UPDATE", "DELETE"))


def writes_to(sql: str, table: str) -> bool:
    """Whether a trigger's body inserts into, or updates, that table."""
    parts = tokens(sql)
    start = next((place for place, token in enumerate(parts) if token.is_word("BEGIN")), len(parts))
    body = parts[start:]
    return any(
        token.names(table) and (before.is_word("INTO", "UPDATE") or (verb.is_word("UPDATE", "OR")))
        for verb, before, token in zip(body, body[1:], body[2:], strict=False)
    )


def virtual_module(sql: str | None) -> str:
    """The module of a CREATE VIRTUAL TABLE, in lower case; nothing for any other statement."""
    parts = tokens(sql or "")
    if len(parts) < 2 or not parts[1].is_word("VIRTUAL"):  # noqa: PLR2004
        return ""
    return next(after.name.lower() for token, after in pairwise(parts) if token.is_word("USING"))
