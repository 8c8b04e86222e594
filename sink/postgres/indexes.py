"""The secondary indexes of the target's tables; one that cannot be said in PostgreSQL is reported."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import psycopg
from psycopg import sql

from shared.columns import codec_for
from shared.findings import Finding
from shared.postgres.catalog import PgColumn, quote, read_columns
from shared.tables import Index, IndexPart, Table
from sink.postgres.conditions import translate_where
from sink.postgres.names import free_name

_TAKEN = "SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace"
_ON_COLUMNS = """
SELECT DISTINCT x.relname
  FROM pg_index AS i
  JOIN pg_class AS x ON x.oid = i.indexrelid
  JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
 WHERE i.indrelid = to_regclass(%s) AND a.attname = ANY (%s)
   AND NOT EXISTS (SELECT FROM pg_constraint AS c WHERE c.conindid = i.indexrelid)
"""
_LONG = 1_300
"""Bytes or characters of a value from which on a row of an index may be too large (2,704 bytes at the most)."""


def add_indexes(db: psycopg.Connection[Any], table: Table) -> list[Finding]:
    """Make them, in the caller's transaction."""
    target = read_columns(db, "", table.name)
    return [finding for index in table.indexes for finding in _add(db, table, index, target)]


def add_indexes_on(db: psycopg.Connection[Any], table: Table, column: str) -> list[Finding]:
    """Make again those that need the column, which were dropped since its type changed."""
    target = read_columns(db, "", table.name)
    needing = [index for index in table.indexes if _needs(index, column)]
    return [finding for index in needing for finding in _add(db, table, index, target)]


def drop_indexes_of_long(db: psycopg.Connection[Any], table: Table, images: Iterable[Sequence[Any]]) -> list[Finding]:
    """Drop the secondary indexes on columns with values longer than an index of PostgreSQL's takes; SQLite's do."""
    long = {name for image in images for name, value in zip(table.names, image, strict=True) if _is_long(value)}
    found = []
    for (name,) in db.execute(_ON_COLUMNS, (quote(table.name), list(long))).fetchall():
        db.execute(sql.SQL("DROP INDEX {}").format(sql.Identifier(name)))
        what = f"the index {name} is dropped, since a value is too long for an index of PostgreSQL's"
        remedy = "Make one on a hash or a part of the value by hand"
        found.append(Finding("warn", "index-dropped", what, f"table {table.name}", remedy))
    return found


def _is_long(value: object) -> bool:
    return isinstance(value, str | bytes) and len(value) >= _LONG


def _needs(index: Index, column: str) -> bool:
    named = re.search(rf"(?<!\w){re.escape(column)}(?!\w)", index.where, re.IGNORECASE)
    return bool(named) or any(part.column == column for part in index.parts)


def _add(db: psycopg.Connection[Any], table: Table, index: Index, target: Mapping[str, PgColumn]) -> list[Finding]:
    if _is_key(table, index):
        return []
    where = translate_where(table, index.where, target) if index.where else ""
    if any(part.column is None for part in index.parts):
        return [_left_out(table, index, "it is on an expression")]
    if index.where and not where:
        return [_left_out(table, index, f"its condition is not simple ({index.where})")]
    statement = sql.SQL("CREATE {unique}INDEX {name} ON {table} ({parts}){where}").format(
        unique=sql.SQL("UNIQUE " if index.unique else ""),
        name=sql.Identifier(free_name(_wanted(table, index), _taken(db))),
        table=sql.Identifier(table.name),
        parts=sql.SQL(", ").join(_part(part, target) for part in index.parts),
        where=sql.SQL(f" WHERE {where}" if where else ""),
    )
    try:
        with db.transaction():
            db.execute(statement)
    except (psycopg.ProgrammingError, psycopg.DataError, psycopg.IntegrityError) as error:
        return [_left_out(table, index, f"PostgreSQL does not take it: {error.diag.message_primary}")]
    except psycopg.OperationalError as error:
        if not isinstance(error, psycopg.errors.ProgramLimitExceeded):
            raise
        return [_left_out(table, index, "its values are too long for an index of PostgreSQL's")]
    return _noted(table, index, target)


def _is_key(table: Table, index: Index) -> bool:
    """Whether the primary key does all that this index does."""
    exact = all(part.collation.upper() == "BINARY" for part in index.parts)
    columns = tuple(part.column for part in index.parts)
    return exact and not index.where and columns == table.key and (index.unique or index.origin == "pk")


def _taken(db: psycopg.Connection[Any]) -> set[str]:
    return {name for (name,) in db.execute(_TAKEN)}


def _wanted(table: Table, index: Index) -> str:
    if not index.name.startswith("sqlite_autoindex"):
        return index.name
    return f"{table.name}_{'_'.join(part.column or '' for part in index.parts)}_key"


def _is_folded(part: IndexPart, target: Mapping[str, PgColumn]) -> bool:
    return part.collation.upper() == "NOCASE" and target[part.column or ""].type == "text"


def _part(part: IndexPart, target: Mapping[str, PgColumn]) -> sql.Composed:
    name: sql.Composable = sql.Identifier(part.column or "")
    if _is_folded(part, target):
        name = sql.SQL('lower({} COLLATE "C")').format(name)  # "C" folds ASCII letters alone, as NOCASE does
    return sql.SQL("{}{}").format(name, sql.SQL(" DESC" if part.descending else ""))


def _left_out(table: Table, index: Index, why: str) -> Finding:
    where = f"table {table.name}, index {index.name}"
    if index.unique:
        what = f"a UNIQUE index is left out, so PostgreSQL will not enforce it: {why}"
        return Finding("warn", "unique-index-left-out", what, where, "Make it by hand before the cutover")
    return Finding("note", "index-left-out", f"an index is left out: {why}", where, "Make it by hand if it is needed")


def _noted(table: Table, index: Index, target: Mapping[str, PgColumn]) -> list[Finding]:
    """What the index does not do as it did."""
    where = f"table {table.name}, index {index.name}"
    if index.unique and any(part.collation.upper() not in ("BINARY", "NOCASE") for part in index.parts):
        what = "the index compares by bytes here, which allows more than its collation in SQLite"
        return [Finding("note", "index-collation", what, where)]
    literal = [p.column for p in index.parts if not p.expression and _is_literal(table, p, target)]
    if index.unique and literal:
        what = f"column {', '.join(map(str, literal))} holds values of several classes as text, where 1 and 1.0 differ"
        return [Finding("note", "index-classes", what, where)]
    return []


def _is_literal(table: Table, part: IndexPart, target: Mapping[str, PgColumn]) -> bool:
    column = next(column for column in table.columns if column.name == part.column)
    there = target[column.name]
    return there.type == "text" and len(codec_for(column, there.type, there.kind).accepts) > 1
