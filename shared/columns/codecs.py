"""Which codec goes between a SQLite column and a PostgreSQL type: a pure function of both.

The type decides; where it leaves a choice (which spelling of a time?), the census does.  So a table that
somebody else made is served like one of our own.
"""

from __future__ import annotations

from shared.columns.affinity import is_numeric
from shared.columns.choice import classes_held
from shared.columns.codec import Codec
from shared.columns.literal import literal
from shared.columns.numbers import double, numeric
from shared.columns.packed import TEXT_BYTES
from shared.columns.pg_types import PgType, parse_type
from shared.columns.plain import BIGINT, BLOB, BOOLEAN, INTEGER, PLAIN_TEXT, SINGLE, SMALLINT, short_text
from shared.columns.times import CLOCK_TEXT, DATE_TEXT, Spelling, time_codec
from shared.columns.words import ENUM, JSONB, UUIDS, json_codec
from shared.errors import BadInput
from shared.tables import Column

_SIMPLE = {
    "bigint": BIGINT,
    "integer": INTEGER,
    "smallint": SMALLINT,
    "real": SINGLE,
    "boolean": BOOLEAN,
    "date": DATE_TEXT,
    "time": CLOCK_TEXT,
    "jsonb": JSONB,
}
_USUAL = Spelling(" ", "auto", "")
_CHAR = 1  # what "character" means without a size


def codec_for(column: Column, pg_type: str, kind: str = "b") -> Codec:
    """The codec between a column and a column of that PostgreSQL type (``kind`` as pg_type.typtype has it).

    Raises BadInput for a type that cannot keep SQLite's values.
    """
    if kind == "e":
        return ENUM
    parsed = parse_type(pg_type)
    codec = _simple(parsed) or _by_column(column, parsed)
    if codec is None or kind not in ("b", ""):
        what = f"the type {pg_type} is none that SQLite's values are kept in"
        raise BadInput(what, where=f"column {column.name}", remedy="Use one of the types in docs/types.md")
    return codec


def _simple(parsed: PgType) -> Codec | None:
    return None if parsed.sizes else _SIMPLE.get(parsed.base)


def _by_column(column: Column, parsed: PgType) -> Codec | None:
    base, sizes = parsed.base, parsed.sizes
    if base in ("timestamp", "timestamptz"):
        return time_codec(_spelling(column), zoned=base == "timestamptz", digits=sizes[0] if sizes else 6)
    if base == "numeric":
        return numeric(column.affinity, (sizes[0], sizes[1] if len(sizes) > 1 else 0) if sizes else None)
    if base == "character" or (base == "character varying" and sizes):
        return short_text(sizes[0] if sizes else _CHAR, padded=base == "character")
    return None if sizes else _by_values(column, base)


def _by_values(column: Column, base: str) -> Codec | None:
    held = classes_held(column.census)
    if base in ("text", "character varying"):
        return literal(column.affinity) if _holds_anything(column, held) else PLAIN_TEXT
    if base == "double precision":
        return double(column.affinity)
    if base == "json":
        return json_codec(column.affinity)
    if base == "bytea":
        return TEXT_BYTES if held == {"text"} or (column.affinity == "TEXT" and not held) else BLOB
    if base == "uuid":
        usual = "uuid-bytes" if held == {"blob"} else "uuid-dashes"
        return UUIDS[next((name for name in column.census.formats if name in UUIDS), usual)]
    return None


def _holds_anything(column: Column, held: frozenset[str]) -> bool:
    """Whether a text column must keep more than texts: where it does, or may at any time."""
    return is_numeric(column.affinity) or bool(held - {"text"}) or (column.affinity == "BLOB" and not held)


def _spelling(column: Column) -> Spelling:
    names = (name for name in column.census.formats if name.startswith("time|"))
    return next(map(Spelling.named, names), _USUAL)
