"""The WHERE of a partial index in PostgreSQL's words, where it is simple enough to mean the same there.

Simple are comparisons of a column with constants, joined by AND.  Anything else is not guessed at.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from shared.columns import Unfit, codec_for
from shared.postgres.catalog import PgColumn, quote
from shared.sqlite.ddl import Token, fold, tokens
from shared.tables import Column, Table
from sink.postgres.constants import NotConstantError, read_constant, write_constant

_EQUAL = {"=": "=", "==": "=", "IS": "=", "<>": "<>", "!=": "<>"}
_ORDERED = {"<", ">", "<=", ">="}
_IS_NULL = {("IS", "NULL"), ("ISNULL",)}
_IS_NOT_NULL = {("IS", "NOT", "NULL"), ("NOT", "NULL"), ("NOTNULL",)}


def translate_where(table: Table, where: str, target: Mapping[str, PgColumn]) -> str:
    """The condition, "" where it is not simple."""
    try:
        return " AND ".join(_term(table, part, target) for part in _conjuncts(tokens(where)))
    except (NotConstantError, Unfit):
        return ""


def _conjuncts(parts: Sequence[Token]) -> Iterator[list[Token]]:
    term: list[Token] = []
    for token in parts:
        if token.is_word("OR", "BETWEEN", "CASE"):
            raise NotConstantError
        if token.is_word("AND"):
            yield term
            term = []
        else:
            term.append(token)
    yield term


def _term(table: Table, parts: Sequence[Token], target: Mapping[str, PgColumn]) -> str:
    if len(parts) > 2 and parts[0].text == "(" and parts[-1].text == ")":  # noqa: PLR2004
        return _term(table, parts[1:-1], target)
    if not parts:
        raise NotConstantError
    column = _column(table, parts[0])
    there = target[column.name]
    name, rest = quote(column.name), tuple(token.text.upper() for token in parts[1:])
    if rest in _IS_NULL:
        return f"{name} IS NULL"
    if rest in _IS_NOT_NULL:
        return f"{name} IS NOT NULL"
    if rest[:2] == ("IN", "(") and rest[-1] == ")":
        return f"{name} IN ({', '.join(_constants(column, there, parts[3:-1]))})"
    if len(rest) > 1 and (sign := _sign(column, there, rest[0])):
        return f"{name} {sign} {write_constant(column, there.type, _not_null(parts[2:]))}"
    raise NotConstantError


def _column(table: Table, token: Token) -> Column:
    found = next((column for column in table.columns if token.kind in ("word", "quoted") and _is(column, token)), None)
    if found is None or found.collation != "BINARY":
        raise NotConstantError
    return found


def _is(column: Column, token: Token) -> bool:
    return fold(column.name) == fold(token.name)


def _sign(column: Column, there: PgColumn, sign: str) -> str:
    """Order means the same on both sides only for values that are the same on both."""
    if there.type == "json":
        return ""
    if sign in _ORDERED and codec_for(column, there.type, there.kind).plain:
        return sign
    return _EQUAL.get(sign, "")


def _constants(column: Column, there: PgColumn, parts: Sequence[Token]) -> Iterator[str]:
    literal: list[Token] = []
    for token in [*parts, Token("sign", ",")]:
        if token.text == ",":
            yield write_constant(column, there.type, _not_null(literal))
            literal = []
        else:
            literal.append(token)


def _not_null(parts: Sequence[Token]) -> object:
    value = read_constant(parts)
    if value is None:
        raise NotConstantError
    return value
