"""Tables that are there already: whether rows can be written to them, and what happens to theirs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from psycopg import sql

from shared.columns import codec_for
from shared.errors import BadInput
from shared.postgres.bypasses import unguarded_tables
from shared.postgres.catalog import PgColumn, quote
from shared.postgres.collations import inexact_keys
from shared.postgres.sequences import withheld_sequences
from shared.tables import Table

_COUNTED = 1_000
_ACTING = """
SELECT c.conname, c.conrelid::regclass::text FROM pg_constraint AS c
 WHERE c.contype = 'f' AND c.confrelid = to_regclass(%s) AND current_setting('session_replication_role') <> 'replica'
   AND (c.confdeltype IN ('c', 'n', 'd') OR (c.confupdtype IN ('c', 'n', 'd') AND EXISTS
        (SELECT FROM pg_attribute AS a WHERE a.attrelid = c.confrelid AND a.attnum = ANY (c.confkey)
            AND a.attname <> ALL (%s)))) ORDER BY 1 LIMIT 1
"""
"""A key's own columns are never updated: what gets another key is deleted and inserted."""
_REFERRING = """
SELECT c.conname, c.conrelid::regclass::text,
       (SELECT string_agg(quote_ident(a.attname) || ' IS NOT NULL', ' AND ') FROM pg_attribute AS a
         WHERE a.attrelid = c.conrelid AND a.attnum = ANY (c.conkey))
  FROM pg_constraint AS c
 WHERE c.contype = 'f' AND c.confrelid = to_regclass(%s) AND c.conrelid <> ALL (%s::text[]::regclass[]) ORDER BY 1
"""
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
    for finding in unguarded_tables(db, [table.name]):
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
    _check_keys(db, table)
    for column in table.columns:
        codec_for(column, columns[column.name].type, columns[column.name].kind)
    if not _has_key(db, table):
        what = f"the target table has no primary key or unique constraint on {', '.join(table.key)}"
        raise BadInput(what, where=where, remedy="Add one, or drop the table")
    if loose := [name for name in table.key if not columns[name].not_null]:
        what = f"the target table allows NULL in {', '.join(loose)}, its key: such a row would not be found again"
        raise BadInput(what, where=where, remedy="Make it NOT NULL, or drop the table")
    for finding in (*inexact_keys(db, [table]), *withheld_sequences(db, [table])):
        raise BadInput(finding.what, where=finding.where, remedy=finding.remedy)


def _check_keys(db: psycopg.Connection[Any], table: Table) -> None:
    if acting := db.execute(_ACTING, (quote(table.name), list(table.key))).fetchone():
        name, at = acting
        what = f"a foreign key acts on its own (CASCADE or SET), and this role may not silence it: {name} of {at}"
        remedy = (
            "GRANT SET ON PARAMETER session_replication_role TO the role (PostgreSQL 15 or newer),"
            " or drop the constraint until after the cutover"
        )
        raise BadInput(what, where=f"table {table.name}", remedy=remedy)


def empty_table(db: psycopg.Connection[Any], table: Table, replicated: Sequence[str]) -> None:
    """Delete its rows, in the caller's transaction; BadInput where rows of tables not ``replicated`` hold them.

    They are looked for: the sink silences PostgreSQL's own checks.
    """
    ours = [quote(name) for name in replicated]
    for name, referring, condition in db.execute(_REFERRING, (quote(table.name), ours)).fetchall():
        if db.execute(f"SELECT 1 FROM {referring} WHERE {condition} LIMIT 1".encode()).fetchone():  # noqa: S608  (quoted)
            what = "rows of the target table are referred to by a table that is not replicated"
            where = f"table {table.name}, constraint {name} of {referring}"
            raise BadInput(what, where=where, remedy="Delete those rows, or drop the constraint")
    db.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table.name)))


def _count(db: psycopg.Connection[Any], table: Table) -> int:
    few = sql.SQL("SELECT count(*) FROM (SELECT FROM {} LIMIT {}) AS few").format(sql.Identifier(table.name), _COUNTED)
    row = db.execute(few).fetchone()
    return int(row[0]) if row else 0


def _has_key(db: psycopg.Connection[Any], table: Table) -> bool:
    row = db.execute(_HAS_KEY, (quote(table.name), sorted(table.key))).fetchone()
    return bool(row and row[0])
