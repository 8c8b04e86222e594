"""What is looked at before the writers are made to wait; every check runs, whatever the others say."""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Literal

import psycopg

from operations.cutover.lag import Lag, measure_lag
from operations.cutover.sessions import lock_holder, open_writers
from operations.preflight import Check, Result
from operations.status import daemon_status
from operations.verification.record import read_record
from operations.wording import count, duration, side_name, size
from shared.control.fold import State
from shared.errors import SchemaChanged
from shared.findings import Finding
from shared.log.contract import LogBackend
from shared.postgres.bypasses import other_ways_in
from shared.postgres.collations import inexact_keys
from shared.postgres.connection import connect, translated
from shared.postgres.guards import check_guards
from shared.postgres.ledger import read_source_schema
from shared.postgres.shape import check_shape, kept_shape, read_shape
from shared.reports import read_report
from shared.retrying import LONGEST_SECONDS
from shared.settings import Settings
from shared.sqlite.catalog import fingerprint
from shared.sqlite.connection import connect as connect_sqlite
from shared.sqlite.connection import quote, reading
from shared.sqlite.connection import translated as sqlite_errors
from shared.sqlite.state import read_state

Found = Iterable[Result | Finding | str]
_BEHIND_SECONDS = 2.0
_LONG = 1e9
_LOOK_SECONDS = 0.1
_LOCK_SECONDS = 1.0
_LOCK_LOOK_SECONDS = 0.004
_LOCK_LOOKS = 50
"""So many in vain at the least: a program that stood still meanwhile has not seen the lock being held."""
_ROOM_BYTES = 100_000_000
_NOT_OURS = """
SELECT c.relname FROM pg_class AS c JOIN switchback.captured AS t ON t.table_name = c.relname AND t.stream = %s
  JOIN pg_namespace AS n ON n.nspname = 'switchback'
 WHERE c.relnamespace = current_schema()::regnamespace AND NOT pg_has_role(n.nspowner, c.relowner, 'MEMBER') ORDER BY 1
"""
"""The daemons act as the owner of our schema; whoever asks may be somebody with fewer rights."""
_OUT_OF_SIGHT = """
SELECT DISTINCT c.relname FROM pg_class AS c JOIN switchback.captured AS t ON t.table_name = c.relname AND t.stream = %s
  JOIN pg_proc AS p ON p.proname = 'capture_' || t.number AND p.pronamespace = 'switchback'::regnamespace
  JOIN pg_roles AS r ON r.oid = p.proowner
 WHERE c.relnamespace = current_schema()::regnamespace AND c.relrowsecurity AND c.relforcerowsecurity
   AND NOT r.rolsuper AND NOT r.rolbypassrls ORDER BY 1
"""
"""Capture triggers read the row again, as their function's owner: a row that a policy hides would not be logged."""
_MAY = "SELECT has_schema_privilege(nspowner, oid, 'CREATE') FROM pg_namespace WHERE nspname = 'switchback'"
_ORDINARY = """
SELECT name FROM sqlite_master WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%'
   AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name NOT LIKE '\\_switchback\\_%' ESCAPE '\\' ORDER BY name
"""
_LEFT_BEHIND = """
SELECT type, name FROM sqlite_master WHERE name NOT LIKE '\\_switchback\\_%' ESCAPE '\\'
   AND (type IN ('trigger', 'view') OR (type = 'table' AND sql LIKE 'CREATE VIRTUAL%')) ORDER BY 1, 2
"""


def cutover_checks(settings: Settings, log: LogBackend, state: State, *, within_hours: float | None) -> list[Check]:
    """The checks for the change from ``state.epoch`` to the next; ``within_hours`` None asks for no verification."""
    checks = Prechecks(settings, log, state)
    found = [
        Check("attempt", checks.attempt),
        Check("daemons", checks.daemons),
        Check("lag", checks.lag),
        Check("verification", lambda: checks.verification(within_hours)),
        Check("open writers", checks.writers),
        Check("way back", checks.way_back),
        Check("schema", checks.schema),
        Check("other writes", checks.other_ways_in),
        Check("log", checks.retention),
        Check("disk", checks.disk),
    ]
    return found if state.primary == "postgres" else [*found, Check("left behind", checks.left_behind)]


class Prechecks:
    """Looks at one migration; each method is one check."""

    def __init__(self, settings: Settings, log: LogBackend, state: State) -> None:
        self._settings = settings
        self._log = log
        self._state = state

    def attempt(self) -> Found:
        """Nothing else is under way."""
        if attempt := self._state.attempt:
            what = f"attempt {attempt.id} of {attempt.asked.who} is under way"
            remedy = "Wait for its end, or `switchback abort`; `switchback resume` sees it through"
            yield Finding("refuse", "attempt", what, remedy=remedy)
        else:
            yield f"none is under way; {side_name(self._state.primary)} is the primary, epoch {self._state.epoch}"

    def daemons(self) -> Found:
        """Both work, as far as can be seen from here; one that waits may be about to go on."""
        if trouble := read_report(self._log, self._state.replica).trouble:
            yield Finding("refuse", "sink-stopped", f"the sink stands still: {trouble}")
        deadline = time.monotonic() + LONGEST_SECONDS + 1.0
        for name in ("capture", "sink"):
            status = daemon_status(self._settings, name)
            while status.state == "waiting" and time.monotonic() < deadline:
                time.sleep(_LOOK_SECONDS)
                status = daemon_status(self._settings, name)
            if status.state == "running":
                yield f"{name} runs, pid {status.pid}"
            elif status.state == "never":
                yield Result("daemons", "note", f"{name} does not run on this machine; the lag tells whether it works")
            else:
                what = f"{name} is {status.state}: {status.reason or 'ended as asked'}"
                remedy = "Mend what it waits for" if status.state == "waiting" else "Start it"
                yield Finding("refuse", "daemon", what, remedy=remedy)

    def lag(self) -> Found:
        """The replica is close behind, and the pause can be estimated."""
        lag = measure_lag(self._settings, self._state)
        if lag.seconds > _BEHIND_SECONDS:
            late = f"{duration(lag.seconds)} behind" if lag.seconds < _LONG else "behind, and none is applied"
            what = f"the replica is {count(lag.changes)} changes {late}"
            yield Finding("refuse", "behind", what, remedy="Wait until `switchback status` says that it is in step")
        else:
            yield f"{count(lag.changes)} changes behind; {count(lag.rate)} changes/s are written"
        yield _estimate(lag)

    def verification(self, within_hours: float | None) -> Found:
        """A full pass that is young enough, and found both sides equal."""
        with closing(self._postgres()) as db:
            verified = read_record(db, self._settings.stream)[1]
        level: Literal["warn", "refuse"] = "warn" if within_hours is None else "refuse"
        remedy = "Run `switchback verify`, or go without it: --unverified"
        if verified is None:
            yield Finding(level, "never-verified", "there was no full verification yet", remedy=remedy)
            return
        age = verified.age(time.time())
        if not verified.equal:
            what = f"{count(verified.wrong_rows)} rows differed when both sides were compared last"
            yield Finding("refuse", "different", what, remedy="Run `switchback verify`, and --repair")
        elif within_hours is not None and age > within_hours * 3600:
            what = f"the last full verification is {duration(age)} old, more than {within_hours:g} h"
            yield Finding(level, "old-verification", what, remedy=remedy)
        else:
            yield f"all {count(verified.rows)} rows were equal {duration(age)} ago; changes since are compared again"

    def writers(self) -> Found:
        """Nobody holds a write transaction open: the hold would wait for its end."""
        if self._state.primary == "postgres":
            with closing(self._postgres()) as db, translated(where="open transactions"):
                found = list(open_writers(db, self._settings.stream, _LOCK_SECONDS))
            yield from found
            if not found:
                yield "no transaction that writes is older than a second"
            return
        yield self._try_lock()

    def _try_lock(self) -> Finding | str:
        path, began = self._settings.source, time.monotonic()
        with closing(connect_sqlite(path, busy_seconds=_LOCK_SECONDS)) as db, sqlite_errors(path):
            db.execute("PRAGMA busy_timeout = 0")  # SQLite looks seldom: writers that take turns would seem one
            deadline, looks = time.monotonic() + _LOCK_SECONDS, 0
            while not _may_write(db):
                looks += 1
                if looks >= _LOCK_LOOKS and time.monotonic() > deadline:
                    what = f"another program holds SQLite's write lock for more than {_LOCK_SECONDS:g} s"
                    return Finding("refuse", "locked", what + lock_holder(path), remedy="Let it commit first")
                time.sleep(_LOCK_LOOK_SECONDS)
        return f"SQLite's write lock was free after {duration(time.monotonic() - began)}"

    def way_back(self) -> Found:
        """What going back needs is allowed."""
        found = [*self._rights_that_lack(), *self._not_writable(), *self._inexact_keys()]
        yield from found
        if not found:
            yield "triggers can be made in PostgreSQL, and SQLite's file can be written"
        if self._state.primary == "sqlite":
            yield from self.what_only_the_application_can_write()

    def _rights_that_lack(self) -> Iterator[Finding]:
        with closing(self._postgres()) as db, translated(where="rights in PostgreSQL"):
            foreign = [name for (name,) in db.execute(_NOT_OURS, (self._settings.stream,))]
            hidden = [name for (name,) in db.execute(_OUT_OF_SIGHT, (self._settings.stream,))]
            row = db.execute(_MAY).fetchone()
        if foreign:
            what = f"{len(foreign)} tables belong to another role: {', '.join(foreign[:5])}"
            remedy = "Make the owner of the schema switchback a member of their owner"
            yield Finding("refuse", "not-owner", what, remedy=remedy)
        if hidden:
            what = f"row level security hides rows of {len(hidden)} tables from capture: {', '.join(hidden[:5])}"
            remedy = "ALTER TABLE ... NO FORCE ROW LEVEL SECURITY, or give BYPASSRLS to Switchback's role"
            yield Finding("refuse", "row-security", what, remedy=remedy)
        if row and not row[0]:
            yield Finding("refuse", "no-create", "the schema's owner may not create in it", "schema switchback")

    def _not_writable(self) -> Iterator[Finding]:
        path = self._settings.source
        if not os.access(path, os.W_OK) or not os.access(path.parent, os.W_OK):
            yield Finding("refuse", "read-only", "SQLite's file or its folder cannot be written", str(path))

    def _inexact_keys(self) -> list[Finding]:
        with closing(self._postgres()) as db, translated(where="PostgreSQL's tables"):
            schema = read_source_schema(db, self._settings.stream)
            return inexact_keys(db, schema.tables if schema else ())

    def what_only_the_application_can_write(self) -> Found:
        """An index or a CHECK with a collation or a function that the application registers stops the sink there."""
        path = self._settings.source
        with closing(connect_sqlite(path, readonly=True)) as db, sqlite_errors(path):
            for (name,) in db.execute(_ORDINARY).fetchall():
                try:
                    db.execute(f"EXPLAIN INSERT INTO {quote(name)} DEFAULT VALUES")
                except sqlite3.OperationalError as error:
                    what = f"SQLite cannot write this table without the application: {error}"
                    remedy = "Only a trigger of the application's may need it; anything else leaves no way back"
                    yield Finding("warn", "needs-application", what, f"table {name}", remedy)

    def schema(self) -> Found:
        """Both sides' tables are those that were copied."""
        if self._state.primary == "postgres":
            yield from self._postgres_schema()
        path = self._settings.source
        with closing(connect_sqlite(path, readonly=True)) as db, sqlite_errors(path), reading(db):
            known, now = read_state(db).get("fingerprint", ""), fingerprint(db)
        if known != now:
            what = "SQLite's tables are not those that were copied"
            yield Finding("refuse", "schema", what, str(path), "Take the migration of the tables back, or copy again")
        else:
            yield "SQLite's tables are as they were copied"

    def _postgres_schema(self) -> Found:
        with closing(self._postgres()) as db, translated(where="PostgreSQL's tables"):
            kept, now = kept_shape(db, self._settings.stream), read_shape(db)
            schema = read_source_schema(db, self._settings.stream)
            names = [table.name for table in schema.tables] if schema else []
            try:
                check_shape(kept, now, names)
                check_guards(db, self._settings.stream, names)
            except SchemaChanged as error:
                yield Finding("refuse", "schema", error.what, error.where, error.remedy)
        if kept.columns and (new := sorted(now.columns.keys() - kept.columns.keys())):
            what = f"tables that SQLite does not have came to PostgreSQL: {', '.join(new)}"
            yield Finding("warn", "new-tables", what, remedy="What is in them stays behind")

    def other_ways_in(self) -> Found:
        """Nothing is written to PostgreSQL's tables past the fence and the capture triggers."""
        with closing(self._postgres()) as db, translated(where="PostgreSQL's tables"):
            schema = read_source_schema(db, self._settings.stream)
            found = other_ways_in(db, schema.by_name if schema else [])
        yield from found
        if not found:
            yield "whatever is written to PostgreSQL's tables meets the triggers"

    def retention(self) -> Found:
        """How long the log would wait for a daemon that is down."""
        days = self._settings.retention_days
        if self._settings.log.startswith("embedded:"):
            yield "the embedded log keeps what is not applied"
        else:
            yield f"topics keep {days} days: a daemon that is down for longer has lost its place, and the way back"

    def disk(self) -> Found:
        """Room for what comes back."""
        folders = {self._settings.source.parent}
        if self._settings.log.startswith("embedded:"):
            folders.add(Path(self._settings.log.removeprefix("embedded:")).parent)
        for folder in sorted(folders):
            free = shutil.disk_usage(folder).free
            if free < _ROOM_BYTES:
                yield Finding("refuse", "disk", f"only {size(free)} are free", str(folder), "Make room first")
            else:
                yield f"{size(free)} free in {folder}"

    def left_behind(self) -> Found:
        """What the application has in SQLite that does not come along."""
        path = self._settings.source
        with closing(connect_sqlite(path, readonly=True)) as db, sqlite_errors(path), reading(db):
            names = [f"{kind} {name}" for kind, name in db.execute(_LEFT_BEHIND)]
        if names:
            what = f"{len(names)} objects do not come along: {', '.join(names[:5])}{', ...' if len(names) > 5 else ''}"  # noqa: PLR2004
            remedy = (
                "Their work must be done in PostgreSQL otherwise; a full-text index must be rebuilt after going back"
            )
            yield Finding("note", "left-behind", what, remedy=remedy)
        else:
            yield "no triggers, views or virtual tables"

    def _postgres(self) -> psycopg.Connection[Any]:
        return connect(self._settings.target.get_secret_value(), application_name="switchback-cutover")


def _may_write(db: sqlite3.Connection) -> bool:
    try:
        db.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
            raise
        return False
    db.execute("ROLLBACK")
    return True


def _estimate(lag: Lag) -> str:
    return f"draining what comes in a hold takes about {duration(lag.drain_seconds)} of the pause"
