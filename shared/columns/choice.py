"""Which PostgreSQL type a column gets in a table that Switchback creates.

A strict type (boolean, timestamp, uuid, json, ...) is chosen only where the declared type asks for it and every
value there is fits, since one value of another spelling stops the stream later.
"""

from __future__ import annotations

import re

from shared.columns.pg_types import canonical_type
from shared.columns.times import Spelling
from shared.columns.words import UUIDS
from shared.tables import ROWID, Census, Column, Table

INFINITE = "infinite"
"""In a census' formats: the column holds infinite REALs, which ``numeric`` does not keep."""

_DECIMAL = re.compile(r"DEC|NUMERIC|MONEY")
_TIME = re.compile(r"DATE|TIME")
_UUID = re.compile(r"UUID|GUID")
_BY_AFFINITY = {"INTEGER": "bigint", "REAL": "double precision", "TEXT": "text"}


def choose_type(table: Table, column: Column, override: str | None = None) -> str:
    """The PostgreSQL type of a created table's column, spelled as in CREATE TABLE; ``override`` wins."""
    if override:
        return canonical_type(override)
    if column.name in (table.identity, ROWID):
        return "bigint"
    held = classes_held(column.census)
    asked = _asked_for(column, held)
    if asked == "json" and _is_indexed(table, column.name):
        asked = ""  # json has no equality
    return asked or _by_class(column, held)


def classes_held(census: Census) -> frozenset[str]:
    """The storage classes that are there, NULL left out."""
    counts = {"int": census.integers, "real": census.reals, "text": census.texts, "blob": census.blobs}
    return frozenset(name for name, count in counts.items() if count)


def _is_indexed(table: Table, name: str) -> bool:
    indexed = (part.column for index in table.indexes for part in index.parts)
    return name in table.key or name in indexed


def _asked_for(column: Column, held: frozenset[str]) -> str:
    """The strict type that the declared type asks for, if every value fits; else ""."""
    declared, census = column.declared.upper(), column.census
    first = census.formats[0] if census.formats else ""
    if "BOOL" in declared and held <= {"int"} and _within(census, 0, 1):
        return "boolean"
    if _TIME.search(declared) and held == {"text"}:
        return _time_type(first)
    if _UUID.search(declared) and len(held) == 1 and first in UUIDS:
        return "uuid"
    if "JSON" in declared and (not held or first == "json"):
        return "json"
    if _DECIMAL.search(declared) and held <= {"int", "real"} and column.affinity == "NUMERIC" and first != INFINITE:
        return "numeric"
    return ""


def _within(census: Census, low: int, high: int) -> bool:
    return (census.min_integer or 0) >= low and (census.max_integer or 0) <= high


def _time_type(spelling: str) -> str:
    if spelling == "date":
        return "date"
    if not spelling.startswith("time|"):
        return ""
    return "timestamptz" if Spelling.named(spelling).suffix else "timestamp"


def _by_class(column: Column, held: frozenset[str]) -> str:
    """The plainest type that keeps what is there; text keeps anything (see ``literal``)."""
    if not held:
        return _for_nothing(column)
    if held == {"blob"}:
        return "bytea"
    if held == {"text"}:
        return "bytea" if column.census.unstorable_texts else "text"
    if held == {"int"} and column.affinity != "REAL":
        return "bigint"
    if held == {"real"} and column.affinity in ("REAL", "BLOB"):
        return "double precision"
    if held <= {"int", "real"} and INFINITE not in column.census.formats:
        return "numeric"
    return "text"


def _for_nothing(column: Column) -> str:
    """For an empty column: what its declared type says of the values to come."""
    if column.affinity == "BLOB":
        return "bytea" if "BLOB" in column.declared.upper() or "BINARY" in column.declared.upper() else "text"
    return _BY_AFFINITY.get(column.affinity, "text")
