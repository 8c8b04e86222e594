"""Which PostgreSQL type a column gets in a created table, and which codec goes with a column and a type.

A strict type (boolean, timestamp, uuid, json, ...) is chosen only where the declared type asks for it and every
value there is fits, since one value of another spelling stops the stream later.
"""

from __future__ import annotations

import re

from shared.columns.codec import Codec
from shared.columns.numbers import ANY_TEXT, DECIMAL, PACKED, TEXT_BYTES, scaled_decimal
from shared.columns.plain import BIGINT, BLOB, BOOLEAN, DOUBLE, INTEGER, PLAIN_TEXT, SMALLINT, short_text
from shared.columns.times import DATE_TEXT, Spelling
from shared.columns.words import JSON, UUIDS
from shared.errors import BadInput
from shared.tables import Census, Column, Table

_DECLARED_DECIMAL = re.compile(r"DEC|NUMERIC|MONEY")
_DECLARED_TIME = re.compile(r"DATE|TIME")
_DECLARED_UUID = re.compile(r"UUID|GUID")
_WITH_SIZE = re.compile(r"^([a-z ]+?)\s*\((\d+)(?:,\s*(\d+))?\)(.*)$")

_PLAIN = {
    "bigint": BIGINT,
    "integer": INTEGER,
    "smallint": SMALLINT,
    "double precision": DOUBLE,
    "boolean": BOOLEAN,
    "json": JSON,
    "numeric": DECIMAL,
    "character varying": PLAIN_TEXT,
}


def choose_type(table: Table, column: Column, override: str | None = None) -> str:
    """The PostgreSQL type of a created table's column, spelled as in CREATE TABLE."""
    if override:
        return override
    if column.name == table.identity or (table.key_kind == "rowid" and column is table.columns[0]):
        return "bigint"
    census, declared = column.census, column.declared.upper()
    held = _held(census)
    return _asked_for(declared, held, census) or _by_class(column, held, census)


def _held(census: Census) -> frozenset[str]:
    """The storage classes that are there, NULL left out."""
    counts = {"int": census.integers, "real": census.reals, "text": census.texts, "blob": census.blobs}
    return frozenset(name for name, count in counts.items() if count)


def _asked_for(declared: str, held: frozenset[str], census: Census) -> str:
    """The strict type that the declared type asks for, if every value fits; else ""."""
    formats = census.formats
    if "BOOL" in declared and held <= {"int"}:
        return "boolean" if (census.min_integer or 0) >= 0 and (census.max_integer or 0) <= 1 else "bigint"
    if _DECLARED_TIME.search(declared) and held == {"text"} and formats:
        if formats[0] == "date":
            return "date"
        if formats[0].startswith("time|"):
            return "timestamptz" if Spelling.named(formats[0]).suffix else "timestamp"
    if _DECLARED_UUID.search(declared) and len(held) == 1 and formats and formats[0] in UUIDS:
        return "uuid"
    if "JSON" in declared and held == {"text"} and "json" in formats:
        return "json"
    if _DECLARED_DECIMAL.search(declared) and held <= {"int", "real"}:
        return "numeric"
    return ""


def _by_class(column: Column, held: frozenset[str], census: Census) -> str:
    if not held:
        return _by_affinity(column)
    if held == {"blob"} or ("blob" in held):
        return "bytea"
    if held == {"text"}:
        return "bytea" if census.unstorable_texts else "text"
    if held == {"int"} and column.affinity != "REAL":
        return "bigint"
    if held == {"real"} and column.affinity in ("REAL", "BLOB"):
        return "double precision"
    if held <= {"int", "real"} and column.affinity in ("INTEGER", "NUMERIC"):
        return "numeric"
    return "text"


def _by_affinity(column: Column) -> str:
    """For an empty column: what the plainest value of its declared type needs."""
    if column.affinity == "NUMERIC":
        return (
            "text" if _DECLARED_TIME.search(column.declared.upper()) or "JSON" in column.declared.upper() else "numeric"
        )
    by_affinity = {"INTEGER": "bigint", "REAL": "double precision", "TEXT": "text", "BLOB": "bytea"}
    return "text" if not column.declared else by_affinity[column.affinity]


def codec_for(column: Column, pg_type: str) -> Codec:
    """The codec between a column and a column of that PostgreSQL type (as format_type spells it).

    Raises BadInput for a type that cannot keep SQLite's values.
    """
    held, formats = _held(column.census), column.census.formats
    size = _WITH_SIZE.match(pg_type)
    base = (size[1] + size[4]) if size else pg_type
    if base in ("timestamp without time zone", "timestamp with time zone", "timestamp", "timestamptz"):
        return _time_codec(column, zoned="with time zone" in base or base == "timestamptz")
    if base == "date":
        return DATE_TEXT
    if base == "uuid":
        return UUIDS[next((name for name in formats if name in UUIDS), "uuid-dashes")]
    if base == "bytea":
        return _bytea_codec(held)
    if base == "text":
        return ANY_TEXT if _is_any(column, held) else PLAIN_TEXT
    if size and base in ("character varying", "character"):
        return short_text(int(size[2]), padded=base == "character")
    if size and base == "numeric":
        return scaled_decimal(int(size[2]), int(size[3] or 0))
    if base in _PLAIN:
        return _PLAIN[base]
    remedy = "Use a type of docs/types.md for this column"
    raise BadInput(f"the type {pg_type} cannot keep SQLite's values", where=f"column {column.name}", remedy=remedy)


def _is_any(column: Column, held: frozenset[str]) -> bool:
    """Whether a text column must keep numbers too: where there are some, or where affinity would make some."""
    return bool(held & {"int", "real"}) or (column.affinity in ("INTEGER", "REAL", "NUMERIC") and not held <= {"text"})


def _bytea_codec(held: frozenset[str]) -> Codec:
    if held == {"text"}:
        return TEXT_BYTES
    if held - {"blob"}:
        return PACKED
    return BLOB


def _time_codec(column: Column, *, zoned: bool) -> Codec:
    names = [name for name in column.census.formats if name.startswith("time|")]
    fitting = [spelling for spelling in map(Spelling.named, names) if bool(spelling.suffix) == zoned]
    default = Spelling(" ", "auto", "+00:00" if zoned else "")
    return (fitting or [default])[0].codec
