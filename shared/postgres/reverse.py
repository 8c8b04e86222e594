"""Making, and removing, what PostgreSQL needs for the way back: tables, triggers, row numbers of its own."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from contextlib import suppress
from importlib.resources import files
from typing import Any

import psycopg
from psycopg import errors, sql

from shared.errors import BadInput, SchemaChanged
from shared.postgres.catalog import PgColumn, read_columns
from shared.postgres.side import read_side
from shared.postgres.tries import short_tries
from shared.postgres.triggers import CAPTURE, FENCE, TRUNCATE, function_names, function_sql, switch_sql, trigger_sql
from shared.tables import ROWID, Schema, Table

DDL = files(__package__).joinpath("reverse.sql").read_text(encoding="utf-8")
_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('switchback ddl', 0))"
_NUMBERS = "SELECT table_name, columns, number, digest FROM switchback.captured WHERE stream = %s"
_NEW_NUMBER = "INSERT INTO switchback.captured (stream, table_name, columns) VALUES (%s, %s, %s) RETURNING number"
_KEEP = "UPDATE switchback.captured SET digest = %s WHERE number = %s"
_THERE = """
SELECT c.relname, count(*) FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid
 WHERE c.relnamespace = current_schema()::regnamespace AND t.tgname = ANY (%s) GROUP BY c.relname
"""
_FILLED = "SELECT attidentity <> '' OR atthasdef FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attname = %s"
_OWN = "SELECT tgname FROM pg_trigger WHERE tgrelid = to_regclass(%s) AND tgname = ANY (%s)"
_USER = """
SELECT a.pid, a.application_name, a.usename FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid)
 WHERE l.relation = to_regclass(%s) AND l.granted AND a.pid <> pg_backend_pid() ORDER BY a.xact_start LIMIT 1
"""
_TRY_MS = (25, 50, 100, 250)
_PAUSE_SECONDS = 0.05
_PATIENCE_SECONDS = 60.0
_FORGET = ("changes WHERE number = ANY (%(numbers)s)", "captured WHERE stream = %(stream)s")


def install(db: psycopg.Connection[Any], stream: str, schema: Schema) -> None:
    """Make what is missing or outdated, in the caller's transaction; the fence is up unless this is the primary."""
    db.execute(_LOCK)
    db.execute(DDL.encode())
    db.execute("INSERT INTO switchback.side (stream) VALUES (%s) ON CONFLICT DO NOTHING", (stream,))
    side = read_side(db, stream)
    primary = side is not None and side.role == "primary"
    known = {(name, tuple(columns)): (number, digest) for name, columns, number, digest in _numbers(db, stream)}
    there = dict(db.execute(_THERE, ([CAPTURE, FENCE, TRUNCATE],)).fetchall())
    home = current_schema(db)
    for table in schema.tables:
        columns = _columns(db, table)
        number, digest = known.get((table.name, table.names)) or (_new_number(db, stream, table), "")
        wanted = [*function_sql(home, table, columns, number), *trigger_sql(home, table.name, number)]
        now = hashlib.sha256("".join(part.as_string(db) for part in wanted).encode()).hexdigest()
        if digest != now or there.get(table.name) != len((CAPTURE, FENCE, TRUNCATE)):
            for statement in [*wanted, switch_sql(home, table.name, primary=primary)]:
                db.execute(statement)
            db.execute(_KEEP, (now, number))
        if table.key_kind == "rowid":
            _number_rows(db, home, table)


def is_installed(db: psycopg.Connection[Any], stream: str, schema: Schema) -> bool:
    """Whether all triggers are there, and every table is known in its shape: asked while writers wait."""
    with db.pipeline():
        numbers = db.execute(_NUMBERS, (stream,))
        triggers = db.execute(_THERE, ([CAPTURE, FENCE, TRUNCATE],))
    known = {(name, tuple(columns)) for name, columns, _, _ in numbers}
    there = dict(triggers.fetchall())
    names = len((CAPTURE, FENCE, TRUNCATE))
    return all((table.name, table.names) in known and there.get(table.name) == names for table in schema.tables)


def installed_numbers(db: psycopg.Connection[Any], stream: str) -> dict[int, tuple[str, tuple[str, ...]]]:
    """Table and columns by the numbers of the change log."""
    return {number: (name, tuple(columns)) for name, columns, number, _ in _numbers(db, stream)}


def uninstall(db: psycopg.Connection[Any], stream: str) -> list[str]:
    """Remove it all again, outside of a transaction; returns what was removed, in words.

    The triggers first, table by table: each in a transaction of its own, so that no writer is ever waited for with a
    lock that it may want.  What names the tables goes last: where this is interrupted it can be called again.
    """
    if read_side(db, stream) is None:
        return []
    numbers = installed_numbers(db, stream)
    removed = []
    for table in sorted({name for name, _ in numbers.values()}):
        removed += _drop_triggers(db, table)
    with db.transaction():
        for name in (name for number in numbers for name in function_names(number)):
            db.execute(sql.SQL("DROP FUNCTION IF EXISTS {}()").format(sql.Identifier("switchback", name)))
            removed.append(f"function switchback.{name}")
        for what in (*_FORGET, "side WHERE stream = %(stream)s", "journal WHERE stream = %(stream)s"):
            db.execute(f"DELETE FROM switchback.{what}".encode(), {"numbers": list(numbers), "stream": stream})  # noqa: S608
    return removed


def _drop_triggers(db: psycopg.Connection[Any], table: str) -> list[str]:
    """In short tries: an application is at work."""
    name = sql.Identifier(current_schema(db), table)
    deadline, tries = time.monotonic() + _PATIENCE_SECONDS, short_tries(db, _TRY_MS)
    while names := [name for (name,) in db.execute(_OWN, (name.as_string(db), [CAPTURE, TRUNCATE, FENCE]))]:
        with suppress(errors.LockNotAvailable, errors.DeadlockDetected), db.transaction():
            db.execute(f"SET LOCAL lock_timeout = {next(tries)}".encode())
            for trigger in names:
                db.execute(sql.SQL("DROP TRIGGER IF EXISTS {} ON {}").format(sql.Identifier(trigger), name))
            return [f"trigger {trigger} on {table}" for trigger in names]
        if time.monotonic() > deadline:
            row = db.execute(_USER, (name.as_string(db),)).fetchone()
            who = f": process {row[0]} ({row[1] or 'no name'}, user {row[2]}) uses it" if row else ""
            what = f"the triggers could not be taken from table {table} within {_PATIENCE_SECONDS:g} s{who}"
            raise BadInput(what, remedy="Let its transaction end, then run the same again: it goes on from here")
        time.sleep(_PAUSE_SECONDS)
    return []


def current_schema(db: psycopg.Connection[Any]) -> str:
    """The schema that the replica's tables are in."""
    row = db.execute("SELECT current_schema()").fetchone()
    return str(row[0]) if row else "public"


def _numbers(db: psycopg.Connection[Any], stream: str) -> list[tuple[str, list[str], int, str]]:
    return db.execute(_NUMBERS, (stream,)).fetchall()


def _new_number(db: psycopg.Connection[Any], stream: str, table: Table) -> int:
    row = db.execute(_NEW_NUMBER, (stream, table.name, list(table.names))).fetchone()
    assert row
    return int(row[0])


def _columns(db: psycopg.Connection[Any], table: Table) -> Mapping[str, PgColumn]:
    found = read_columns(db, "", table.name)
    missing = [name for name in table.names if name not in found]
    if missing:
        where = f"table {table.name}: {', '.join(missing)}"
        raise SchemaChanged("the target table lacks columns", where=where, remedy="Add them, or copy again")
    return {name: found[name] for name in table.names}


def _number_rows(db: psycopg.Connection[Any], home: str, table: Table) -> None:
    """A table without a key of its own is known by a number that the application does not give."""
    name = sql.Identifier(home, table.name)
    row = db.execute(_FILLED, (name.as_string(db), ROWID)).fetchone()
    if row and not row[0]:
        add = "ALTER TABLE {} ALTER COLUMN {} ADD GENERATED BY DEFAULT AS IDENTITY"
        db.execute(sql.SQL(add).format(name, sql.Identifier(ROWID)))
