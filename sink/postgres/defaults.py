"""A column's default in PostgreSQL's words: constants, the current time, random ids; anything else is reported."""

from __future__ import annotations

import re
from datetime import datetime

from shared.columns import Unfit
from shared.columns.pg_types import parse_type
from shared.findings import Finding
from shared.sqlite.ddl import Token, tokens
from shared.tables import Column, Table
from sink.postgres.constants import NotConstantError, fits, read_constant, write_constant

_NOW = {
    "current_timestamp": "%Y-%m-%d %H:%M:%S",
    "datetime('now')": "%Y-%m-%d %H:%M:%S",
    "datetime()": "%Y-%m-%d %H:%M:%S",
    "current_date": "%Y-%m-%d",
    "date('now')": "%Y-%m-%d",
    "date()": "%Y-%m-%d",
    "current_time": "%H:%M:%S",
    "time('now')": "%H:%M:%S",
    "time()": "%H:%M:%S",
}
_EPOCH = {"strftime('%s','now')", "unixepoch()", "unixepoch('now')"}
_RANDOM = {
    "lower(hex(randomblob(16)))": "replace(gen_random_uuid()::text, '-', '')",
    "hex(randomblob(16))": "upper(replace(gen_random_uuid()::text, '-', ''))",
}
_STRFTIME = re.compile(r"strftime\('((?:[^'%]|%[YmdHMSf])*)','now'\)")
_PLACES = {"%Y": "YYYY", "%m": "MM", "%d": "DD", "%H": "HH24", "%M": "MI", "%S": "SS", "%f": "SS.MS"}
_SAMPLE = datetime(2001, 2, 3, 4, 5, 6, 789_000)  # noqa: DTZ001
_UTC = "now() AT TIME ZONE 'UTC'"


def translate_default(table: Table, column: Column, pg_type: str) -> tuple[str, list[Finding]]:
    """The SQL of the default, "" for none, and a finding where it is left out."""
    parts = _without_parentheses(tokens(column.default or ""))
    if not parts or column.generated or parts[0].is_word("NULL"):
        return "", []
    made = _constant(column, pg_type, parts) or _computed(column, pg_type, "".join(part.text for part in parts))
    if made:
        return made, []
    what = f"the default {column.default} is not carried over"
    where = f"table {table.name}, column {column.name}"
    return "", [Finding("warn", "default-left-out", what, where, "Set a default in PostgreSQL by hand")]


def _without_parentheses(parts: tuple[Token, ...]) -> tuple[Token, ...]:
    while len(parts) > 1 and parts[0].text == "(" and parts[-1].text == ")" and _is_one_pair(parts):
        parts = parts[1:-1]
    return parts


def _is_one_pair(parts: tuple[Token, ...]) -> bool:
    depth = 0
    for token in parts[:-1]:
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        if depth == 0:
            return False
    return True


def _constant(column: Column, pg_type: str, parts: tuple[Token, ...]) -> str:
    """A literal; SQLite takes a lone word, or one in double quotes, for a text."""
    is_text = len(parts) == 1 and (
        parts[0].kind == "quoted" or (parts[0].kind == "word" and not parts[0].text.lower().startswith("current_"))
    )
    try:
        if is_text and not parts[0].is_word("TRUE", "FALSE"):
            return write_constant(column, pg_type, parts[0].name)
        return write_constant(column, pg_type, read_constant(parts))
    except (NotConstantError, Unfit):
        return ""


def _computed(column: Column, pg_type: str, given: str) -> str:
    folded = given.lower() if "strftime" not in given.lower() else given.replace("STRFTIME", "strftime")
    if folded in _EPOCH:
        return _epoch(column, pg_type)
    if folded in _RANDOM and fits(column, pg_type, "0123456789abcdef" * 2):
        return _RANDOM[folded]
    found = _STRFTIME.fullmatch(folded)
    shape = found[1] if found else _NOW.get(folded, "")
    if not shape or not fits(column, pg_type, _SAMPLE.strftime(shape.replace("%f", "%S.789"))):
        return ""
    return _now(parse_type(pg_type).base, shape)


def _epoch(column: Column, pg_type: str) -> str:
    seconds = "extract(epoch FROM now())::bigint"
    if column.affinity in ("INTEGER", "NUMERIC") and fits(column, pg_type, 2_000_000_000):
        return seconds if parse_type(pg_type).base != "text" else f"{seconds}::text"
    return f"{seconds}::text" if column.affinity == "TEXT" and fits(column, pg_type, "2000000000") else ""


def _now(base: str, shape: str) -> str:
    """The current time, cut to the digits that the shape has."""
    unit = "milliseconds" if "%f" in shape else "second"
    if base == "timestamptz":
        return f"date_trunc('{unit}', now())"
    if base == "timestamp":
        return f"date_trunc('{unit}', {_UTC})"
    if base == "date":
        return f"({_UTC})::date"
    if base not in ("text", "character varying"):
        return ""
    places = re.sub(r"[A-Za-z]+|%[A-Za-z]", lambda part: _PLACES.get(part[0], f'"{part[0]}"'), shape)
    return f"to_char({_UTC}, '{places}')"
