"""``switchback uninstall``: takes our own objects away, and nothing else.

From the source always; with ``everything`` also what the stream keeps in PostgreSQL (its rows in the
schema ``switchback``, and the schema with its last stream), its embedded log and its notes, so that the
same stream can begin anew.  The application's tables stay as they are on both sides.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from operations.daemon import DAEMONS
from shared.errors import BadInput
from shared.postgres import reverse
from shared.postgres.connection import connect as connect_postgres
from shared.postgres.connection import translated as postgres_errors
from shared.postgres.ledger import exists
from shared.presence import completed_path, is_running
from shared.settings import Settings
from shared.sqlite.connection import connect as connect_sqlite
from shared.sqlite.connection import translated as sqlite_errors
from shared.sqlite.connection import writing
from shared.sqlite.description import OWN
from shared.sqlite.installation import uninstall_within
from shared.sqlite.replica_state import read_standing
from shared.sqlite.state import check_stream, read_state

_OURS = """
SELECT type, name FROM sqlite_master
 WHERE name LIKE ? ESCAPE '\\' AND type IN ('trigger', 'table', 'view') ORDER BY type DESC, name
"""
_TABLES = """
SELECT table_name FROM information_schema.columns
 WHERE table_schema = 'switchback' AND column_name = 'stream' ORDER BY 1
"""
_STREAMS = "SELECT stream FROM switchback.ledger"
_NOTES = ("capture.json", "capture.running", "capture.tmp", "capture.lock", "sink.json", "sink.running", "sink.tmp")


def refuse_while_closed(settings: Settings) -> None:
    """BadInput while PostgreSQL is the primary: without its fence the file would take writes that nobody sees."""
    with closing(connect_sqlite(settings.source, readonly=True)) as db, sqlite_errors(settings.source):
        _check_open(db, settings.source)


def _check_open(db: sqlite3.Connection, path: Path) -> None:
    if read_standing(db).role == "replica":
        remedy = "`switchback complete` ends the migration, `switchback rollback` goes back; --unfence removes it all"
        raise BadInput("PostgreSQL is the primary, and this file is closed", where=str(path), remedy=remedy)


def refuse_other_stream(settings: Settings) -> None:
    """BadInput where the file is captured for another stream: whose capture may run, and would miss changes."""
    with closing(connect_sqlite(settings.source, readonly=True)) as db, sqlite_errors(settings.source):
        check_stream(read_state(db), settings.stream)


def refuse_while_running(settings: Settings) -> None:
    """BadInput while a daemon of this stream runs on this machine."""
    for name in DAEMONS:
        if is_running(settings.state_dir, settings.stream, name):
            raise BadInput(f"{name} is running", where=f"stream {settings.stream}", remedy="Stop it first")


def plan_uninstall(settings: Settings, *, everything: bool) -> list[str]:
    """What would be removed, in words."""
    found = [f"SQLite: {kind} {name}" for kind, name in _in_source(settings)]
    if everything:
        found += [f"PostgreSQL: {what}" for what in in_target(settings)]
        found += [f"file {path}" for path in _files(settings)]
    return found


def uninstall(settings: Settings, *, everything: bool, unfence: bool = False) -> list[str]:
    """Remove it; returns what was removed, in words.

    BadInput as the ``refuse`` functions say: while the operator was asked, somebody else may have begun and switched.
    """
    path = settings.source
    refuse_while_running(settings)
    planned = in_target(settings) if everything else []  # before anything is removed: an error here removes nothing
    with closing(connect_sqlite(path, busy_seconds=settings.busy_seconds)) as db, sqlite_errors(path), writing(db):
        if not unfence:
            _check_open(db, path)
        removed = [f"SQLite: {name}" for name in uninstall_within(db)]
    if everything:
        removed += [f"PostgreSQL: {what}" for what in (*forget_in_target(settings), *planned)]
        removed += [f"file {path}" for path in remove_files(settings)]
        completed_path(settings.state_dir, settings.stream).unlink(missing_ok=True)
    return removed


def _in_source(settings: Settings) -> list[tuple[str, str]]:
    path = settings.source
    pattern = OWN.replace("_", "\\_") + "%"
    with closing(connect_sqlite(path, readonly=True, busy_seconds=settings.busy_seconds)) as db, sqlite_errors(path):
        return db.execute(_OURS, (pattern,)).fetchall()


def in_target(settings: Settings) -> list[str]:
    """What would be removed from PostgreSQL, in words."""
    with _target(settings) as db:
        if db is None or not exists(db):
            return []
        streams = {name for (name,) in db.execute(_STREAMS)}
    if streams <= {settings.stream}:
        return ["schema switchback"]
    return [f"the rows of stream {settings.stream} in schema switchback"] if settings.stream in streams else []


def forget_in_target(settings: Settings) -> list[str]:
    """Remove it; the application's tables stay, without our triggers, which are returned in words."""
    with _target(settings) as db:
        if db is None or not exists(db):
            return []
        removed = reverse.uninstall(db, settings.stream)
        with db.transaction():
            tables = [sql.Identifier("switchback", name) for (name,) in db.execute(_TABLES)]
            for table in tables:
                db.execute(sql.SQL("DELETE FROM {} WHERE stream = %s").format(table), (settings.stream,))
            if db.execute(_STREAMS).fetchone() is None:
                db.execute(sql.SQL("DROP TABLE {}").format(sql.SQL(", ").join(tables)))
                db.execute("DROP SCHEMA switchback CASCADE")  # tables, functions and sequences for the way back
    return removed


@contextmanager
def _target(settings: Settings) -> Iterator[psycopg.Connection[Any] | None]:
    """The target, or None where there is no target."""
    dsn = settings.target.get_secret_value()
    if not dsn:
        yield None
        return
    with (
        closing(connect_postgres(dsn, application_name="switchback-uninstall")) as db,
        postgres_errors(where="the target"),
    ):
        yield db


def _files(settings: Settings) -> Iterator[Path]:
    """The embedded log with what SQLite keeps beside it, and the daemons' notes."""
    if settings.log.startswith("embedded:"):
        log = Path(settings.log.removeprefix("embedded:"))
        yield from (path for end in ("", "-wal", "-shm") if (path := log.with_name(log.name + end)).exists())
    notes = (settings.state_dir / f"{settings.stream}.{ending}" for ending in _NOTES)
    yield from (path for path in notes if path.exists())


def remove_files(settings: Settings) -> Iterator[Path]:
    """Remove the embedded log and the notes; gives each file that is gone."""
    for path in list(dict.fromkeys(_files(settings))):
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise BadInput(f"the file cannot be removed: {error.strerror}", where=str(path)) from error
        yield path
