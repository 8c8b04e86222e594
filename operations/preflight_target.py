"""What ``switchback check`` asks of the PostgreSQL side and of the log; nothing is left behind there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from operations.completion import completed_since
from operations.preflight import Check, Result
from operations.wording import offsets
from shared.errors import BadInput
from shared.findings import Finding
from shared.log.opening import open_log_of, would_make
from shared.postgres.bypasses import other_ways_in
from shared.postgres.collations import inexact_keys
from shared.postgres.connection import connect, translated
from shared.postgres.ledger import read_ledger, read_source_schema
from shared.postgres.sequences import withheld_sequences
from shared.settings import Settings
from shared.sqlite.catalog import read_schema
from shared.sqlite.connection import connect as connect_sqlite
from shared.sqlite.connection import reading
from shared.sqlite.connection import translated as sqlite_errors
from shared.tables import Table

_OLDEST = 130_000
_SHOWN = 5

_MAY_CREATE = """
SELECT has_database_privilege(current_database(), 'CREATE'), has_schema_privilege(current_schema(), 'CREATE'),
       current_schema(), current_user, to_regnamespace('switchback') IS NOT NULL
"""
_THERE = """
SELECT c.relname FROM pg_class c
 WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') AND c.relname = ANY(%s)
 ORDER BY 1
"""

Target = psycopg.Connection[Any]
Found = Iterator[Result | Finding | str]


def target_checks(settings: Settings) -> list[Check]:
    """The checks of the target; one that is not given is said to be so."""
    dsn = settings.target.get_secret_value()
    if not dsn:
        nothing = Result("target", "note", "no target given, so nothing is known of it", remedy="Give --target")
        return [Check("target", lambda: [nothing])]

    def on_target(name: str, look: Callable[[Target], Found], *needs: str) -> Check:
        def opened() -> Iterable[Result | Finding | str]:
            with closing(connect(dsn, application_name="switchback-check")) as db, translated(where="the target"):
                return list(look(db))

        return Check(name, opened, needs=("target", *needs))

    return [
        on_target("target", _look_at_server),
        on_target("target rights", _look_at_rights),
        on_target("target tables", lambda db: _look_at_tables(db, settings), "tables"),
    ]


def log_checks(settings: Settings) -> list[Check]:
    """The check of the log; nothing is created by looking."""
    return [Check("log", lambda: _look_at_log(settings))]


def _look_at_server(db: Target) -> Found:
    version = db.info.server_version
    name = f"PostgreSQL {version // 10_000}.{version % 10_000}, database {db.info.dbname} on {db.info.host}"
    if version < _OLDEST:
        yield Finding("refuse", "old-server", f"{name} is too old", remedy="Use PostgreSQL 13 or newer")
        return
    yield name
    row = db.execute("SELECT current_setting('server_encoding')").fetchone()
    encoding = row[0] if row else "unknown"
    if encoding != "UTF8":
        remedy = "Create the database with ENCODING 'UTF8'"
        yield Finding("refuse", "encoding", f"the database's encoding is {encoding}", remedy=remedy)


def _look_at_rights(db: Target) -> Found:
    row = db.execute(_MAY_CREATE).fetchone()
    assert row is not None
    in_database, in_schema, schema, user, ours = row
    if schema is None:
        yield Finding(
            "refuse", "no-schema", "the search_path leads to no schema", remedy="Set search_path for this role"
        )
        return
    if not in_schema:
        remedy = f"GRANT CREATE ON SCHEMA {schema} TO {user}"
        yield Finding("refuse", "no-create-table", f"{user} may not create tables", f"schema {schema}", remedy)
    if not (in_database or ours):
        remedy = f"GRANT CREATE ON DATABASE {db.info.dbname} TO {user}"
        yield Finding("refuse", "no-create-schema", f"{user} may not create the schema switchback", remedy=remedy)
    if in_schema and (in_database or ours):
        yield f"{user} may create what is needed in schema {schema}"
    try:
        with db.transaction(force_rollback=True):
            db.execute("SET LOCAL session_replication_role = replica")
    except psycopg.errors.InsufficientPrivilege:
        what = (
            f"{user} may not set session_replication_role: triggers in the target would run, foreign keys are checked"
        )
        remedy = f"GRANT SET ON PARAMETER session_replication_role TO {user} (PostgreSQL 15), or use a superuser"
        yield Finding("note", "no-replica-role", what, remedy=remedy)


def _look_at_tables(db: Target, settings: Settings) -> Found:
    ledger = read_ledger(db, settings.stream)
    if ledger is not None and ledger.number:
        schema = read_source_schema(db, settings.stream)
        yield from other_ways_in(db, schema.by_name if schema else [])
        yield from inexact_keys(db, schema.tables if schema else ())
        yield f"the stream is there already, up to {ledger.position}: run goes on from there"
        return
    tables = _source_tables(settings)
    names = [table.name for table in tables]
    yield from other_ways_in(db, names)
    yield from inexact_keys(db, tables)
    yield from withheld_sequences(db, tables)
    there = [name for (name,) in db.execute(_THERE, (names,))]
    full = [name for name in there if _has_rows(db, name)]
    if not there:
        yield f"none of the {len(names)} tables exists yet"
        return
    shown = ", ".join((full or there)[:_SHOWN]) + (", ..." if len(full or there) > _SHOWN else "")
    what = f"{len(there)} of {len(names)} tables exist already, {len(full)} with rows in them"
    yield from _judge_tables(settings.existing, what, shown, full=bool(full))


def _judge_tables(existing: str, what: str, shown: str, *, full: bool) -> Found:
    if existing == "refuse":
        remedy = "Drop them, or decide with existing = match (empty tables of the same shape) or replace"
        yield Finding("refuse", "tables-exist", what, f"tables {shown}", remedy)
    elif existing == "match" and full:
        remedy = "Empty them, or take existing = replace, which deletes these rows"
        yield Finding("refuse", "tables-full", what, f"tables {shown}", remedy)
    elif full:
        yield Finding("warn", "tables-replaced", f"{what}: their rows will be deleted", f"tables {shown}")
    else:
        yield Finding("note", "tables-used", f"{what}: they will be used", f"tables {shown}")


def _source_tables(settings: Settings) -> tuple[Table, ...]:
    if settings.source == Path():
        raise BadInput("the tables to look for are not known without the source", remedy="Give --source")
    with closing(connect_sqlite(settings.source, readonly=True)) as db, sqlite_errors(settings.source), reading(db):
        return read_schema(db, settings.tables, settings.exclude).tables


def _has_rows(db: Target, name: str) -> bool:
    row = db.execute(sql.SQL("SELECT EXISTS (SELECT 1 FROM {})").format(sql.Identifier(name))).fetchone()
    return bool(row and row[0])


def _look_at_log(settings: Settings) -> Found:
    url = settings.log
    if url.startswith("embedded:") and (since := completed_since(settings)):
        what = f"the migration of this stream is completed since {since}"
        remedy = "Nothing is left to do; a new migration needs a stream name of its own"
        yield Finding("refuse", "completed", what, f"stream {settings.stream}", remedy)
        return
    if missing := would_make(settings):
        yield f"{', '.join(missing)} will be created"
        return
    with closing(open_log_of(settings, make=False)) as log:
        first, end = log.spine.bounds()
        yield f"{url}, {offsets(first, end)}"
