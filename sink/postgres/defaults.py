"""A column's default in PostgreSQL's words: constants and the current time; anything else is reported."""

from __future__ import annotations

import re

from shared.findings import Finding
from shared.tables import Column, Table

_NUMBER = re.compile(r"^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$")
_STRING = re.compile(r"^'(?:[^']|'')*'$")
_NOW = {
    "CURRENT_TIMESTAMP": "YYYY-MM-DD HH24:MI:SS",
    "CURRENT_DATE": "YYYY-MM-DD",
    "CURRENT_TIME": "HH24:MI:SS",
}
_TRUE, _FALSE = {"1", "true"}, {"0", "false"}


def translate_default(table: Table, column: Column, pg_type: str) -> tuple[str, list[Finding]]:
    """The SQL of the default, "" for none, and a finding where it is left out."""
    given = (column.default or "").strip()
    while given.startswith("(") and given.endswith(")"):
        given = given[1:-1].strip()
    if not given or given.upper() == "NULL" or column.generated:
        return "", []
    made = _translate(given, pg_type)
    if made:
        return made, []
    what = f"the default {given} is not carried over"
    where = f"table {table.name}, column {column.name}"
    return "", [Finding("warn", "default-left-out", what, where, "Set a default in PostgreSQL by hand")]


def _translate(given: str, pg_type: str) -> str:
    if given.upper() in _NOW:
        return _now(given.upper(), pg_type)
    if pg_type == "boolean":
        word = given.strip("'").lower()
        return "true" if word in _TRUE else "false" if word in _FALSE else ""
    if pg_type in ("bigint", "numeric", "double precision"):
        number = given.strip("'")
        integral = "." not in number and "e" not in number.lower()
        return number if _NUMBER.match(number) and (integral or pg_type != "bigint") else ""
    if pg_type in ("text", "json"):
        return _as_text(given)
    if pg_type in ("timestamp", "timestamptz", "date", "uuid") and _STRING.match(given):
        return f"{given}::{pg_type}" if re.search(r"\d", given) else ""
    return ""


def _as_text(given: str) -> str:
    if _STRING.match(given):
        return given
    if given.startswith('"') and given.endswith('"'):
        return "'" + given[1:-1].replace("'", "''") + "'"
    return f"'{given}'" if _NUMBER.match(given) else ""


def _now(word: str, pg_type: str) -> str:
    if pg_type == "timestamptz":
        return "date_trunc('second', now())"
    if pg_type == "timestamp":
        return "date_trunc('second', now() AT TIME ZONE 'UTC')"
    if pg_type == "date":
        return "(now() AT TIME ZONE 'UTC')::date"
    return f"to_char(now() AT TIME ZONE 'UTC', '{_NOW[word]}')" if pg_type == "text" else ""
