"""What a PostgreSQL table looks like, as far as rows are written to it or compared with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg

_COLUMNS = """
SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.atttypid::bigint, a.attnotnull, a.attgenerated <> '',
       t.typtype::text
  FROM pg_attribute AS a JOIN pg_type AS t ON t.oid = a.atttypid
 WHERE a.attrelid = to_regclass(%s) AND a.attnum > 0 AND NOT a.attisdropped
 ORDER BY a.attnum
"""


@dataclass(frozen=True, slots=True)
class PgColumn:
    """A column; ``type`` is spelled as in a cast, ``kind`` is pg_type.typtype (b base, e enum, d domain)."""

    name: str
    type: str
    oid: int
    not_null: bool
    generated: bool
    kind: str


def read_columns(db: psycopg.Connection[Any], schema: str, table: str) -> dict[str, PgColumn]:
    """A table's columns by name, in their order; empty where there is no such table.

    Schema "" stands for the search path.
    """
    quoted = '"' + table.replace('"', '""') + '"'
    name = f'"{schema}".{quoted}' if schema else quoted
    return {row[0]: PgColumn(*row) for row in db.execute(_COLUMNS, (name,))}
