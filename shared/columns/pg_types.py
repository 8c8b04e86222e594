"""PostgreSQL's names of types: the many ways to write one, and the one that the catalogue writes."""

from __future__ import annotations

import re
from dataclasses import dataclass

_ALIASES = {
    "int": "integer",
    "int2": "smallint",
    "int4": "integer",
    "int8": "bigint",
    "float": "double precision",
    "float4": "real",
    "float8": "double precision",
    "bool": "boolean",
    "decimal": "numeric",
    "varchar": "character varying",
    "char": "character",
    "bpchar": "character",
    "timestamp without time zone": "timestamp",
    "timestamp with time zone": "timestamptz",
    "time without time zone": "time",
}
_SIZED = re.compile(r"([a-z][a-z0-9 ]*?) ?\( ?(\d+) ?(?:, ?(-?\d+) ?)?\)((?: [a-z ]+)?)")


@dataclass(frozen=True, slots=True)
class PgType:
    """A type's short name and what stands in its parentheses."""

    base: str
    sizes: tuple[int, ...] = ()


def parse_type(pg_type: str) -> PgType:
    """A type as somebody wrote it, or as ``format_type`` says it."""
    name = " ".join(pg_type.lower().split())
    found = _SIZED.fullmatch(name)
    if not found:
        return PgType(_ALIASES.get(name, name))
    base = found[1] + found[4]
    return PgType(_ALIASES.get(base, base), tuple(int(size) for size in (found[2], found[3]) if size is not None))


def canonical_type(pg_type: str) -> str:
    """The same type, spelled short and always alike."""
    parsed = parse_type(pg_type)
    return f"{parsed.base}({', '.join(map(str, parsed.sizes))})" if parsed.sizes else parsed.base
