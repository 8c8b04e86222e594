"""What a SQLite database has that can be replicated, what cannot, and how to tell that it changed.

Views, virtual tables with their shadow tables, SQLite's own tables and ours are left out.  All
functions run in the caller's transaction and raise sqlite3's errors.
"""

# ruff: noqa: S608  (statements are put together from quoted identifiers and from the source's own DDL)

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any

from msgspec import structs

from shared.errors import BadInput
from shared.findings import Finding
from shared.sqlite import ddl
from shared.sqlite.connection import quote
from shared.sqlite.database import Database
from shared.sqlite.ddl import fold
from shared.sqlite.description import OWN, list_tables, null_keys, pragma_rows, read_table, stored_sql
from shared.sqlite.selection import names_in_order, parents_first, select_names
from shared.sqlite.terms import conflicts
from shared.tables import Schema, Table

__all__ = ["COLUMNS_AT_MOST", "findings", "fingerprint", "null_keys", "read_schema", "schema_version"]

COLUMNS_AT_MOST = 2_000 - 4
"""SQLite's usual limit, less the columns that a table of ours has for itself."""

_NEVER_FAIL = {"lower", "upper", "trim", "ltrim", "rtrim", "length", "substr", "coalesce", "ifnull", "nullif", "typeof"}
_KNOWN_COLLATIONS = {"BINARY", "NOCASE", "RTRIM"}


def read_schema(
    db: Database,
    tables: Sequence[str] = (),
    exclude: Sequence[str] = (),
    priorities: Sequence[str] = (),
) -> Schema:
    """The tables to replicate (all, or those named; ``*`` and ``?`` match), without census.

    Prioritised tables come first, then parents before children.  Raises BadInput for a name that
    matches no table, and for a table that cannot be replicated.
    """
    known = [name for _, name, kind, *_ in list_tables(db) if kind == "table"]
    chosen = select_names(known, tables, exclude)
    found = [read_table(db, name) for name in chosen]
    inside = {table.name for table in found}
    kept = [_without_foreign_parents(table, inside) for table in found]
    return Schema(tuple(parents_first(kept, names_in_order(known, priorities))))


def schema_version(db: Database) -> int:
    """SQLite's counter of schema changes; DDL moves it, and so does VACUUM."""
    version: int = db.execute("PRAGMA schema_version").fetchone()[0]
    return version


def fingerprint(db: Database) -> str:
    """A hash of the application's tables and indexes as SQLite keeps them; ours, views and triggers do not count."""
    sql = (
        "SELECT type, name, tbl_name, sql FROM sqlite_master WHERE type IN ('table', 'index')"
        " AND substr(name, 1, 12) <> ? AND substr(tbl_name, 1, 12) <> ? AND substr(name, 1, 11) <> 'sqlite_stat'"
        " AND name <> 'sqlite_sequence' ORDER BY type, name"
    )
    return hashlib.sha256(repr(db.execute(sql, (OWN, OWN)).fetchall()).encode()).hexdigest()


def _without_foreign_parents(table: Table, inside: set[str]) -> Table:
    """References to tables that are not replicated cannot be made on the replica."""
    kept = tuple(key for key in table.foreign_keys if key.parent in inside)
    return structs.replace(table, foreign_keys=kept)


def findings(db: Database) -> list[Finding]:
    """What stands in the way of replicating all of this database, or should be known before; looks at no row."""
    found = [*_leftovers(db), *_encoding(db)]
    for name in (row[1] for row in list_tables(db) if row[2] == "table"):
        try:
            table = read_table(db, name)
        except BadInput as error:
            found.append(Finding("refuse", "no-key", error.what, error.where, error.remedy))
            continue
        found += [*_readable(db, table), *_key_findings(table), *_parent_findings(db, table)]
        found += [*_trigger_findings(db, table), *_generated(table), *_expressions(table)]
    return found


def _leftovers(db: Database) -> Iterator[Finding]:
    for name, sql in db.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table' ORDER BY name"):
        module = ddl.virtual_module(sql)
        if module:
            what = f"a virtual table ({module}) cannot have triggers, so it is not copied"
            remedy = "Make its like on PostgreSQL (for full text: a tsvector column), filled from the tables it indexes"
            yield Finding("warn", "virtual-table", what, f"table {name}", remedy)
    names = db.execute("SELECT name FROM sqlite_master WHERE type = 'view' ORDER BY name").fetchall()
    views = [name for (name,) in names if not name.startswith(OWN)]
    if views:
        remedy = "Create them on PostgreSQL, in its own SQL"
        yield Finding("note", "views", "views are not copied", ", ".join(views), remedy)


def _encoding(db: Database) -> Iterator[Finding]:
    encoding = db.execute("PRAGMA encoding").fetchone()[0]
    if encoding != "UTF-8":
        yield Finding("note", "encoding", f"texts are stored as {encoding} and copied as UTF-8")


def _readable(db: Database, table: Table) -> Iterator[Finding]:
    where = f"table {table.name}"
    if len(table.columns) > COLUMNS_AT_MOST:
        what = f"it has {len(table.columns)} columns; at most {COLUMNS_AT_MOST} can be captured"
        yield Finding("refuse", "too-wide", what, where, "Leave it out with `exclude`")
    try:
        db.execute(f"SELECT * FROM {quote(table.name)} LIMIT 0").close()
    except sqlite3.Error as error:
        remedy = "What only the application registers cannot be read from outside: leave the table out with `exclude`"
        yield Finding("refuse", "unreadable", f"it cannot be read: {error}", where, remedy)


def _key_findings(table: Table) -> Iterator[Finding]:
    where = f"table {table.name}"
    if table.key_kind == "rowid":
        what = "it has no primary key; its hidden rowid serves as the key, and VACUUM gives out new ones"
        yield Finding(
            "warn", "rowid-key", what, where, "Do not VACUUM while it is replicated, or give it a primary key"
        )
    collations = {part.collation.upper() for index in table.indexes for part in index.parts if part.column in table.key}
    collations |= {column.collation for column in table.columns if column.name in table.key}
    for collation in sorted(collations):
        if collation not in _KNOWN_COLLATIONS:
            what = f"its key is ordered by {collation}, which only the application knows"
            level: Any = "warn" if table.rowid_name else "refuse"
            yield Finding(level, "collation", what, where, "Leave the table out with `exclude`, or make the key BINARY")
        elif collation != "BINARY":
            what = f"its key is {collation}; on PostgreSQL keys are compared exactly, so 'a' and 'A' are two"
            yield Finding("note", "inexact-key", what, where, "Look at what the application expects of it")


def _parent_findings(db: Database, table: Table) -> Iterator[Finding]:
    known = {fold(row[1]) for row in list_tables(db)}
    parents = {row[2] for row in pragma_rows(db, "foreign_key_list", table.name)}
    for parent in sorted(parents):
        if fold(parent) not in known:
            what = f"its foreign key refers to {parent}, which does not exist"
            yield Finding("warn", "no-parent", what, f"table {table.name}", "It is not made on PostgreSQL")


def _trigger_findings(db: Database, table: Table) -> Iterator[Finding]:
    sql = "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = ? COLLATE NOCASE ORDER BY name"
    for (name,) in db.execute(sql, (table.name,)).fetchall():
        if name.startswith(OWN):
            continue
        text, where = stored_sql(db, name, "trigger"), f"trigger {name} of table {table.name}"
        if ddl.is_after(text) and ddl.raises(text, "FAIL") and _has_actions(db, table):
            what = "when a cascade runs into its RAISE(FAIL), the parent row is gone without an entry in the change log"
            yield Finding("warn", "raise-cascade", what, where, "Use RAISE(ABORT), or verify often")
        elif ddl.is_after(text) and ddl.raises(text, "IGNORE", "FAIL"):
            what = "a RAISE(IGNORE) or RAISE(FAIL) keeps triggers that would run after it from running"
            remedy = "It is safe where capture is installed later; create it anew only together with `switchback run`"
            yield Finding("note", "raise", what, where, remedy)
        if not ddl.is_after(text) and conflicts(table) and ddl.writes_to(text, table.name):
            what = "before a row is written it writes to the same table; a row that it brings into the way of a REPLACE"
            remedy = "If that can be, verify often, or let the application do it instead of a trigger"
            yield Finding("warn", "before-trigger", f"{what} would vanish unseen", where, remedy)


def _has_actions(db: Database, table: Table) -> bool:
    """Whether a foreign key of the table changes its rows by itself."""
    rows = pragma_rows(db, "foreign_key_list", table.name)
    return any(action not in ("NO ACTION", "RESTRICT") for row in rows for action in row[5:7])


def _generated(table: Table) -> Iterator[Finding]:
    names = [column.name for column in table.columns if column.generated]
    if names:
        what = "generated columns are copied as ordinary values"
        remedy = "PostgreSQL does not compute them; the application must, or a generated column made there"
        yield Finding("note", "generated", what, f"table {table.name}, {', '.join(names)}", remedy)


def _expressions(table: Table) -> Iterator[Finding]:
    """Our BEFORE triggers look for rows in the way, and so compute what a unique index is on before other checks."""
    for index in (index for index in table.indexes if index.unique and not index.where):
        if any(not ddl.functions(part.expression) <= _NEVER_FAIL for part in index.parts):
            what = "a unique index is on an expression; a row for which that fails is an error, with OR IGNORE as well"
            remedy = "If the application passes over such rows (JSON that is none, say), check them before"
            yield Finding("warn", "expression-index", what, f"index {index.name} of table {table.name}", remedy)
