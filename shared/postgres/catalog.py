"""What a PostgreSQL table looks like, as far as rows are written to it or compared with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg

_COLUMNS = """
SELECT a.attname,
       CASE t.typtype WHEN 'd' THEN format_type(t.typbasetype, t.typtypmod)
                      ELSE format_type(a.atttypid, a.atttypmod) END,
       b.oid::bigint, a.attnotnull, a.attgenerated <> '', b.typtype::text, a.atthasdef OR a.attidentity <> ''
  FROM pg_attribute AS a
  JOIN pg_type AS t ON t.oid = a.atttypid
  JOIN pg_type AS b ON b.oid = CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE t.oid END
 WHERE a.attrelid = to_regclass(%s) AND a.attnum > 0 AND NOT a.attisdropped
 ORDER BY a.attnum
"""


@dataclass(frozen=True, slots=True)
class PgColumn:
    """A column; ``type`` is spelled as in a cast, ``kind`` is pg_type.typtype (b base, e enum); a domain is its base.

    ``filled`` says that a row which leaves the column out gets a value other than NULL.
    """

    name: str
    type: str
    oid: int
    not_null: bool
    generated: bool
    kind: str
    filled: bool


def read_columns(db: psycopg.Connection[Any], schema: str, table: str) -> dict[str, PgColumn]:
    """A table's columns by name, in their order; empty where there is no such table.

    Schema "" stands for the search path.
    """
    quoted = quote(table)
    name = f"{quote(schema)}.{quoted}" if schema else quoted
    return {row[0]: PgColumn(*row) for row in db.execute(_COLUMNS, (name,))}


def quote(name: str) -> str:
    """The name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'
