"""The target's tables: made from the source's shape, or checked where they are there already.

Tables come first, with their keys and defaults; secondary indexes when a table's rows are copied, foreign keys
and sequences when all are.  What cannot be carried over is reported, never dropped in silence.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy import Column, MetaData, PrimaryKeyConstraint, Table, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable, Identity
from sqlalchemy.types import UserDefinedType

from shared import tables as source
from shared.columns import choose_type, codec_for
from shared.columns.pg_types import parse_type
from shared.findings import Finding
from shared.postgres.catalog import quote, read_columns
from sink.postgres.adoption import check_table, empty_table
from sink.postgres.defaults import translate_default
from sink.postgres.foreign_keys import add_foreign_keys
from sink.postgres.indexes import add_indexes
from sink.postgres.names import check_names

_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]
_BY_BYTES = {"text", "character varying", "character"}


class _Spelled(UserDefinedType[Any]):
    """A type by its PostgreSQL name; texts sort and compare by bytes, as SQLite's do."""

    cache_ok = True

    def __init__(self, spelling: str) -> None:
        self.spelling = spelling

    def get_col_spec(self, **_options: object) -> str:
        """The words for CREATE TABLE."""
        by_bytes = parse_type(self.spelling).base in _BY_BYTES
        return f'{self.spelling} COLLATE "C"' if by_bytes else self.spelling


def create_tables(
    db: psycopg.Connection[Any], schema: source.Schema, types: Mapping[str, str], existing: str
) -> tuple[set[str], list[Finding]]:
    """Make the missing tables in the caller's transaction and check the others; returns the names of those made.

    ``types`` are the operator's choices by "table.column".  ``existing`` says what to do with tables that are
    there: "refuse" those that hold rows, "match" them as they are, or "replace" their rows.  Raises BadInput
    with the first thing that does not do.
    """
    made: set[str] = set()
    found: list[Finding] = []
    for table in schema.tables:
        check_names(table)
        if columns := read_columns(db, "", table.name):
            check_table(db, table, columns, existing)
        else:
            found += _create(db, table, types)
            made.add(table.name)
    if existing == "replace":
        for table in reversed(schema.tables):  # children first
            if table.name not in made:
                empty_table(db, table)
    return made, found


def _create(db: psycopg.Connection[Any], table: source.Table, types: Mapping[str, str]) -> list[Finding]:
    found: list[Finding] = []
    columns = []
    for column in table.columns:
        pg_type = choose_type(table, column, types.get(f"{table.name}.{column.name}"))
        codec = codec_for(column, pg_type)
        default, finding = translate_default(table, column, pg_type)
        found += finding
        columns.append(_column(table, column, pg_type, default))
        if pg_type == "text" and bytes in codec.accepts and column.affinity in ("BLOB", "TEXT"):
            what = "values of several classes are kept as text: numbers as digits, BLOBs as x'...', other texts as is"
            found.append(Finding("note", "mixed-column", what, f"table {table.name}, column {column.name}"))
    made = Table(table.name, MetaData(), *columns, PrimaryKeyConstraint(*table.key), quote=True)
    db.execute(str(CreateTable(made).compile(dialect=_DIALECT)).replace("%%", "%").encode())
    return found


def _column(table: source.Table, column: source.Column, pg_type: str, default: str) -> Column[Any]:
    identity = [Identity(always=False)] if column.name == table.identity else []
    return Column(
        column.name,
        _Spelled(pg_type),
        *identity,
        nullable=not column.not_null and column.name not in table.key,
        server_default=text(default.replace(":", r"\:")) if default and not identity else None,
        autoincrement="auto" if identity else False,
        quote=True,
    )


def finish_table(db: psycopg.Connection[Any], table: source.Table) -> list[Finding]:
    """The secondary indexes of a table that is ours, once the rows are there."""
    db.execute("SET LOCAL maintenance_work_mem = '256MB'")
    return add_indexes(db, table)


def finish(db: psycopg.Connection[Any], schema: source.Schema, made: Collection[str]) -> list[Finding]:
    """Foreign keys of the tables that are ours, and all sequences past the data."""
    found = add_foreign_keys(db, schema.tables, made)
    for table in schema.tables:
        if table.identity:
            _set_sequence(db, table.name, table.identity)
    return found


def _set_sequence(db: psycopg.Connection[Any], table: str, column: str) -> None:
    row = db.execute("SELECT pg_get_serial_sequence(%s, %s)", (quote(table), column)).fetchone()
    if row and row[0]:
        highest = sql.SQL("SELECT setval({}::regclass, max({})) FROM {} HAVING max({}) > 0")
        name = sql.Identifier(column)
        db.execute(highest.format(sql.Literal(row[0]), name, sql.Identifier(table), name))
