"""Foreign keys of the target's tables, made once all rows are there."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import psycopg
from psycopg import sql

from shared.findings import Finding
from shared.tables import ForeignKey, Table
from sink.postgres.names import free_name

_ACTIONS = {"CASCADE", "SET NULL", "SET DEFAULT", "RESTRICT"}
_TAKEN = "SELECT conname FROM pg_constraint WHERE conrelid = to_regclass(%s)"


def add_foreign_keys(db: psycopg.Connection[Any], tables: Iterable[Table], made: Collection[str]) -> list[Finding]:
    """Make those of the tables that are ours; what the data or the types do not allow is reported.

    Only where this session silences PostgreSQL's own cascades: they would do once more what the source did.
    """
    wanted = [(table, key) for table in tables if table.name in made for key in table.foreign_keys]
    row = db.execute("SHOW session_replication_role").fetchone()
    if wanted and not (row and row[0] == "replica"):
        what = "foreign keys are not made: this role may not set session_replication_role"
        remedy = (
            "GRANT SET ON PARAMETER session_replication_role TO the role (PostgreSQL 15 or newer) and copy again,"
            " or add them by hand after the cutover"
        )
        return [Finding("warn", "foreign-keys-left-out", what, f"{len(wanted)} foreign keys", remedy)]
    return [finding for table, key in wanted for finding in _add(db, table, key)]


def _add(db: psycopg.Connection[Any], table: Table, key: ForeignKey) -> list[Finding]:
    taken = {name for (name,) in db.execute(_TAKEN, ('"' + table.name.replace('"', '""') + '"',))}
    name = free_name(f"{table.name}_{'_'.join(key.columns)}_fkey", taken)
    where = f"table {table.name}, foreign key ({', '.join(key.columns)}) to {key.parent}"
    try:
        with db.transaction():
            db.execute(_statement(table.name, name, key))
    except (psycopg.ProgrammingError, psycopg.DataError) as error:
        what = f"PostgreSQL does not take the foreign key: {error.diag.message_primary}"
        return [Finding("warn", "foreign-key-left-out", what, where, "Add it by hand, with types that fit")]
    try:
        with db.transaction():
            validate = sql.SQL("ALTER TABLE {} VALIDATE CONSTRAINT {}")
            db.execute(validate.format(sql.Identifier(table.name), sql.Identifier(name)))
    except psycopg.IntegrityError:
        what = "rows without a parent are there, so the foreign key holds for new rows only (NOT VALID)"
        remedy = f'Clean the rows at the source, then ALTER TABLE ... VALIDATE CONSTRAINT "{name}"'
        return [Finding("warn", "foreign-key-not-valid", what, where, remedy)]
    return []


def _statement(table: str, name: str, key: ForeignKey) -> sql.Composed:
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
