"""Tables that are there already: whether rows can be written to them, and what happens to theirs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg import sql

from shared.columns import codec_for
from shared.errors import BadInput
from shared.postgres.bypasses import tables_in_parts
from shared.postgres.catalog import PgColumn, quote
from shared.tables import Table

_COUNTED = 1_000
_HAS_KEY = """
SELECT EXISTS (SELECT FROM pg_index AS i
 WHERE i.indrelid = to_regclass(%s) AND i.indisunique AND i.indimmediate AND i.indisvalid
   AND i.indpred IS NULL AND i.indexprs IS NULL
   AND (SELECT array_agg(a.attname::text ORDER BY a.attname) FROM pg_attribute AS a
         WHERE a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey[0:i.indnkeyatts - 1])) = %s)
"""


def check_table(db: psycopg.Connection[Any], table: Table, columns: Mapping[str, PgColumn], existing: str) -> None:
    """Raise BadInput, with what to do, where the table does not do for these rows."""
    where = f"table {table.name}"
    for finding in tables_in_parts(db, [table.name]):
        raise BadInput(finding.what, where=where, remedy=finding.remedy)
    if existing == "refuse" and (rows := _count(db, table)):
        counted = rows if rows < _COUNTED else f"{_COUNTED} or more"
        what = f"the target table is there and holds {counted} rows"
        remedy = 'Empty or drop it, or set existing = "replace" to delete its rows, or "match" to keep them'
        raise BadInput(what, where=where, remedy=remedy)
    if missing := [name for name in table.names if name not in columns]:
        what = f"the target table has no column {', '.join(missing)}"
        raise BadInput(what, where=where, remedy="Add it, or drop the table")
    if asking := [c.name for c in columns.values() if c.name not in table.names and c.not_null and not c.filled]:
        what = f"the target table asks for a value of {', '.join(asking)}, which the source does not have"
        raise BadInput(what, where=where, remedy="Give the column a default, or allow NULL there")
    for column in table.columns:
        codec_for(column, columns[column.name].type, columns[column.name].kind)
    if not _has_key(db, table):
        what = f"the target table has no primary key or unique constraint on {', '.join(table.key)}"
        raise BadInput(what, where=where, remedy="Add one, or drop the table")


def empty_table(db: psycopg.Connection[Any], table: Table) -> None:
    """Delete its rows, in the caller's transaction; BadInput where other tables' rows hold them."""
    try:
        with db.transaction():
            db.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table.name)))
    except psycopg.errors.ForeignKeyViolation as error:
        what = "rows of the target table are referred to by a table that is not replicated"
        where = f"table {table.name}, constraint {error.diag.constraint_name}"
        raise BadInput(what, where=where, remedy="Delete those rows, or drop the constraint") from error


def _count(db: psycopg.Connection[Any], table: Table) -> int:
    few = sql.SQL("SELECT count(*) FROM (SELECT FROM {} LIMIT {}) AS few").format(sql.Identifier(table.name), _COUNTED)
    row = db.execute(few).fetchone()
    return int(row[0]) if row else 0


def _has_key(db: psycopg.Connection[Any], table: Table) -> bool:
    row = db.execute(_HAS_KEY, (quote(table.name), sorted(table.key))).fetchone()
    return bool(row and row[0])
