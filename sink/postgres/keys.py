"""Indexes and foreign keys of the target's tables."""

from __future__ import annotations

import hashlib
import re
from typing import Any

import psycopg
from psycopg import sql

from shared.findings import Finding
from shared.tables import ForeignKey, Index, IndexPart, Table

_LONGEST_NAME = 63
_SIMPLE_WHERE = re.compile(r"^[\w\s\"'=<>!.()+-]*$")
_ACTIONS = {"CASCADE", "SET NULL", "SET DEFAULT", "RESTRICT"}
_HAS_KEY = """
SELECT EXISTS (SELECT FROM pg_index AS i
 WHERE i.indrelid = to_regclass(%s) AND i.indisunique AND i.indpred IS NULL AND i.indexprs IS NULL
   AND (SELECT array_agg(a.attname::text ORDER BY a.attname) FROM pg_attribute AS a
         WHERE a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey[0:i.indnkeyatts - 1])) = %s)
"""


def has_key(db: psycopg.Connection[Any], table: Table) -> bool:
    """Whether a unique index covers exactly the key's columns."""
    quoted = '"' + table.name.replace('"', '""') + '"'
    row = db.execute(_HAS_KEY, (quoted, sorted(table.key))).fetchone()
    return bool(row and row[0])


def add_indexes(db: psycopg.Connection[Any], table: Table) -> list[Finding]:
    """Make the table's secondary indexes; those that cannot be said in PostgreSQL are reported."""
    found: list[Finding] = []
    for index in table.indexes:
        columns = tuple(part.column for part in index.parts)
        if index.origin == "pk" or (index.unique and columns == table.key and not index.where):
            continue
        found += _add_index(db, table, index)
    return found


def _add_index(db: psycopg.Connection[Any], table: Table, index: Index) -> list[Finding]:
    where = f"table {table.name}, index {index.name}"
    level, remedy = (
        ("warn", "Make a unique index by hand") if index.unique else ("note", "Make it by hand if it is needed")
    )
    if any(part.column is None for part in index.parts) or (index.where and not _SIMPLE_WHERE.match(index.where)):
        what = "an index on an expression is not carried over"
        return [Finding(level, "index-left-out", what, where, remedy)]  # type: ignore[arg-type]
    statement = sql.SQL("CREATE {unique}INDEX {name} ON {table} ({parts}){where}").format(
        unique=sql.SQL("UNIQUE " if index.unique else ""),
        name=sql.Identifier(short_name(table.name, index.name)),
        table=sql.Identifier(table.name),
        parts=sql.SQL(", ").join(map(_part, index.parts)),
        where=sql.SQL(f" WHERE {index.where}" if index.where else ""),
    )
    try:
        with db.transaction():
            db.execute(statement)
    except (psycopg.ProgrammingError, psycopg.DataError, psycopg.IntegrityError) as error:
        what = f"PostgreSQL does not take the index: {error.diag.message_primary}"
        return [Finding(level, "index-left-out", what, where, remedy)]  # type: ignore[arg-type]
    return []


def _part(part: IndexPart) -> sql.Composed:
    name: sql.Composable = sql.Identifier(part.column or "")
    if part.collation.upper() == "NOCASE":
        name = sql.SQL('lower({} COLLATE "C")').format(name)
    return sql.SQL("{}{}").format(name, sql.SQL(" DESC" if part.descending else ""))


def short_name(table: str, name: str) -> str:
    """A name for an index or constraint that is PostgreSQL's: unique in the schema, 63 bytes at the most."""
    if name.startswith("sqlite_autoindex"):
        name = f"{table}_{name.rsplit('_', 1)[-1]}_key"
    if len(name.encode()) <= _LONGEST_NAME:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return name.encode()[: _LONGEST_NAME - 9].decode(errors="ignore") + "_" + digest


def add_foreign_keys(db: psycopg.Connection[Any], table: Table) -> list[Finding]:
    """Make the table's foreign keys; what the data or the types do not allow is reported."""
    found: list[Finding] = []
    for number, key in enumerate(table.foreign_keys, 1):
        name = short_name(table.name, f"{table.name}_{'_'.join(key.columns)}_fkey{number}")
        where = f"table {table.name}, foreign key ({', '.join(key.columns)}) to {key.parent}"
        try:
            with db.transaction():
                db.execute(_foreign_key(table.name, name, key))
        except (psycopg.ProgrammingError, psycopg.DataError) as error:
            what = f"PostgreSQL does not take the foreign key: {error.diag.message_primary}"
            found.append(Finding("warn", "foreign-key-left-out", what, where, "Add it by hand, with types that fit"))
            continue
        try:
            with db.transaction():
                validate = sql.SQL("ALTER TABLE {} VALIDATE CONSTRAINT {}")
                db.execute(validate.format(sql.Identifier(table.name), sql.Identifier(name)))
        except psycopg.IntegrityError:
            what = "rows without a parent are there, so the foreign key holds for new rows only (NOT VALID)"
            remedy = "Clean the rows at the source, then ALTER TABLE ... VALIDATE CONSTRAINT"
            found.append(Finding("warn", "foreign-key-not-valid", what, where, remedy))
    return found


def _foreign_key(table: str, name: str, key: ForeignKey) -> sql.Composed:
    actions = ""
    for event, action in (("DELETE", key.on_delete), ("UPDATE", key.on_update)):
        if action.upper() in _ACTIONS:
            actions += f" ON {event} {action.upper()}"
    deferred = " DEFERRABLE INITIALLY DEFERRED" if key.deferred else " DEFERRABLE"
    add = "ALTER TABLE {} ADD CONSTRAINT {} FOREIGN KEY ({}) REFERENCES {} ({}){} NOT VALID"
    return sql.SQL(add).format(
        sql.Identifier(table),
        sql.Identifier(name),
        sql.SQL(", ").join(map(sql.Identifier, key.columns)),
        sql.Identifier(key.parent),
        sql.SQL(", ").join(map(sql.Identifier, key.parent_columns)),
        sql.SQL(actions + deferred),
    )
