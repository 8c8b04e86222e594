"""Keys that PostgreSQL takes for equal though their texts differ: it sees no change where SQLite has another key."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import psycopg

from shared.findings import Finding
from shared.postgres.catalog import quote
from shared.tables import Table

_REMEDY = 'Give the column a deterministic one: ALTER TABLE ... ALTER COLUMN ... TYPE ... COLLATE "C"'

_FIND = """
SELECT t.name, a.attname, c.oid::regcollation::text
  FROM unnest(%s::text[], %s::text[], %s::text[]) AS t (name, tab, col)
  JOIN pg_attribute AS a ON a.attrelid = to_regclass(t.tab) AND a.attname = t.col AND NOT a.attisdropped
  JOIN pg_collation AS c ON c.oid = a.attcollation AND NOT c.collisdeterministic
 ORDER BY 1, a.attnum
"""


def inexact_keys(db: psycopg.Connection[Any], tables: Iterable[Table]) -> list[Finding]:
    """The key columns of these tables, found by the search path, whose collation is nondeterministic."""
    columns = [(table.name, quote(table.name), column) for table in tables for column in table.key]
    rows = db.execute(_FIND, [[column[part] for column in columns] for part in range(3)])
    what = "the key has the nondeterministic collation {}, to which different texts are equal"
    return [
        Finding("refuse", "key-collation", what.format(collation), f"table {table}, column {column}", _REMEDY)
        for table, column, collation in rows
    ]
