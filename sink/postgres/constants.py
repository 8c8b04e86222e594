"""SQLite's constants in SQLite's words, as values and in PostgreSQL's words.  Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from psycopg import sql

from shared.columns import Unfit, codec_for
from shared.columns.affinity import as_stored
from shared.sqlite.ddl import Token
from shared.tables import Column

_WORDS: dict[str, int | None] = {"TRUE": 1, "FALSE": 0, "NULL": None}


class NotConstantError(ValueError):
    """An expression that has to be computed."""


def read_constant(parts: Sequence[Token]) -> Any:  # noqa: ANN401  (any SQLite value)
    """The value that one literal stands for, with a sign where it is a number."""
    if len(parts) == 2 and parts[0].text in ("-", "+") and parts[1].kind == "number":  # noqa: PLR2004
        number = _read_number(parts[1].text)
        return -number if parts[0].text == "-" else number
    if len(parts) != 1:
        raise NotConstantError
    [token] = parts
    if token.kind == "number":
        return _read_number(token.text)
    if token.kind == "string":
        return token.text[1:-1].replace("''", "'")
    if token.kind == "blob":
        return bytes.fromhex(token.text[2:-1])
    if token.kind == "word" and token.text.upper() in _WORDS:
        return _WORDS[token.text.upper()]
    raise NotConstantError


def _read_number(text: str) -> int | float:
    if text[:2].lower() == "0x":
        return int(text, 16)
    return int(text) if text.isdigit() else float(text)


def write_constant(column: Column, pg_type: str, value: object) -> str:
    """The value, once it is stored in that column, as PostgreSQL's column holds it; Unfit where it cannot."""
    stored = as_stored(value, column.affinity)
    if column.affinity == "TEXT" and isinstance(stored, int | float):
        stored = str(stored)
    there = codec_for(column, pg_type).to_postgres(stored)
    return sql.Literal(there).as_string().strip()


def fits(column: Column, pg_type: str, value: object) -> bool:
    """Whether the column can hold the value."""
    try:
        codec_for(column, pg_type).to_postgres(value)
    except Unfit:
        return False
    return True
