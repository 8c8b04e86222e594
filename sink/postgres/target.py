"""The target's tables: made from the source's shape, or checked where they are there already.

Tables come first, with their keys and defaults; secondary indexes when a table's rows are copied, foreign keys
and sequences when all are.  What cannot be carried over is reported, never dropped in silence.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy import Column, MetaData, Table, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable, Identity
from sqlalchemy.types import UserDefinedType

from shared import tables as source
from shared.columns import choose_type, codec_for
from shared.errors import BadInput
from shared.findings import Finding
from shared.postgres.catalog import read_columns
from sink.postgres.defaults import translate_default
from sink.postgres.keys import add_foreign_keys, add_indexes, has_key

_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]
_LONGEST_NAME = 63


class _Spelled(UserDefinedType[Any]):
    """A type by its PostgreSQL name; texts sort and compare by bytes, as SQLite's do."""

    cache_ok = True

    def __init__(self, spelling: str) -> None:
        self.spelling = spelling

    def get_col_spec(self, **_options: object) -> str:
        """The words for CREATE TABLE."""
        return f'{self.spelling} COLLATE "C"' if self.spelling == "text" else self.spelling


def create_tables(
    db: psycopg.Connection[Any], schema: source.Schema, types: Mapping[str, str], existing: str
) -> tuple[set[str], list[Finding]]:
    """Make the missing tables in the caller's transaction and check the others; returns the names of those made.

    ``existing`` says what to do with tables that are there: "refuse" those that hold rows, "match" them
    as they are, or "replace" their rows.  Raises BadInput with the first thing that does not do.
    """
    made: set[str] = set()
    found: list[Finding] = []
    for table in schema.tables:
        _check_names(table)
        if read_columns(db, "", table.name):
            _adopt(db, table, existing)
        else:
            found += _create(db, table, types)
            made.add(table.name)
    return made, found


def _check_names(table: source.Table) -> None:
    for name in (table.name, *table.names):
        if len(name.encode()) > _LONGEST_NAME:
            what = f"the name is longer than PostgreSQL's {_LONGEST_NAME} bytes: {name}"
            raise BadInput(what, where=f"table {table.name}", remedy="Rename it, or leave the table out with exclude")
        if "\0" in name or not name:
            raise BadInput("PostgreSQL allows no such name", where=f"table {table.name}", remedy="Rename it")


def _adopt(db: psycopg.Connection[Any], table: source.Table, existing: str) -> None:
    name = sql.Identifier(table.name)
    row = db.execute(sql.SQL("SELECT count(*) FROM (SELECT FROM {} LIMIT 1000) AS few").format(name)).fetchone()
    rows = int(row[0]) if row else 0
    where = f"table {table.name}"
    if rows and existing == "refuse":
        what = f"the target table is there and holds {rows if rows < 1000 else 'more than 1000'} rows"  # noqa: PLR2004
        remedy = 'Empty or drop it, or set existing = "replace" to delete its rows, or "match" to keep them'
        raise BadInput(what, where=where, remedy=remedy)
    columns = read_columns(db, "", table.name)
    missing = [column.name for column in table.columns if column.name not in columns]
    if missing:
        raise BadInput(
            f"the target table has no column {', '.join(missing)}", where=where, remedy="Add it, or drop the table"
        )
    for column in table.columns:
        codec_for(column, columns[column.name].type)
    if not has_key(db, table):
        what = f"the target table has no primary key or unique constraint on {', '.join(table.key)}"
        raise BadInput(what, where=where, remedy="Add one, or drop the table")
    if rows and existing == "replace":
        db.execute(sql.SQL("DELETE FROM {}").format(name))


def _create(db: psycopg.Connection[Any], table: source.Table, types: Mapping[str, str]) -> list[Finding]:
    found: list[Finding] = []
    columns = []
    for column in table.columns:
        pg_type = choose_type(table, column, types.get(f"{table.name}.{column.name}"))
        codec_for(column, pg_type)
        default, finding = translate_default(table, column, pg_type)
        found += finding
        extra: list[Any] = [Identity(always=False)] if column.name == table.identity else []
        nullable = not column.not_null and column.name not in table.key
        options: dict[str, Any] = {} if extra else {"autoincrement": False}
        server_default = text(default.replace(":", r"\:")) if default and not extra else None
        keyed = column.name in table.key
        columns.append(
            Column(
                column.name,
                _Spelled(pg_type),
                *extra,
                primary_key=keyed,
                nullable=nullable,
                server_default=server_default,
                quote=True,
                **options,
            )
        )
    made = Table(table.name, MetaData(), *columns, quote=True)
    db.execute(_compiled(CreateTable(made)))
    return found


def _compiled(element: CreateTable) -> bytes:
    return str(element.compile(dialect=_DIALECT)).replace("%%", "%").encode()


def finish_table(db: psycopg.Connection[Any], table: source.Table) -> list[Finding]:
    """The secondary indexes, once the rows are there."""
    db.execute("SET LOCAL maintenance_work_mem = '256MB'")
    return add_indexes(db, table)


def finish(db: psycopg.Connection[Any], schema: source.Schema) -> list[Finding]:
    """Foreign keys, where this session keeps PostgreSQL's own cascades silent, and sequences past the data."""
    found = _foreign_keys(db, schema.tables)
    for table in schema.tables:
        if table.identity:
            _set_sequence(db, table.name, table.identity)
    return found


def _foreign_keys(db: psycopg.Connection[Any], tables: Iterable[source.Table]) -> list[Finding]:
    row = db.execute("SHOW session_replication_role").fetchone()
    if row and row[0] == "replica":
        return [finding for table in tables for finding in add_foreign_keys(db, table)]
    what = "foreign keys are not made yet: this role may not set session_replication_role"
    remedy = "GRANT SET ON PARAMETER session_replication_role (PostgreSQL 15), or add them when the migration is over"
    return [Finding("warn", "foreign-keys-later", what, remedy=remedy)] if any(t.foreign_keys for t in tables) else []


def _set_sequence(db: psycopg.Connection[Any], table: str, column: str) -> None:
    quoted = '"' + table.replace('"', '""') + '"'
    row = db.execute("SELECT pg_get_serial_sequence(%s, %s)", (quoted, column)).fetchone()
    if row and row[0]:
        highest = sql.SQL("SELECT setval(%s::regclass, greatest(max({}), 1)) FROM {} HAVING max({}) > 0")
        name = sql.Identifier(column)
        db.execute(highest.format(name, sql.Identifier(table), name), (row[0],))
