"""What is known of a stream right now, read from where it is kept: the source, the log, the ledger.

Nothing is written and nothing is created; a part that cannot be reached is named, and the rest still
tells.  Whether the daemons run is known for this machine only.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import psycopg
from msgspec import Struct, structs

from operations.completion import completed_since
from operations.cutover.lag import look_back
from operations.cutover.summary import UNKNOWN, SwitchStatus, describe, describe_databases
from operations.cutover.way_back import WayBack, way_back
from operations.daemon import DAEMONS
from operations.phase import (
    DaemonState,
    DaemonStatus,
    LedgerStatus,
    LogStatus,
    SourceStatus,
    Status,
    TableStatus,
    summarise,
    warn,
)
from shared.control.channel import Channel
from shared.control.standing import Standing
from shared.errors import NoLog, SwitchbackError
from shared.log.contract import LogBackend
from shared.log.opening import log_is_there, open_log_of
from shared.postgres.connection import connect as connect_postgres
from shared.postgres.connection import translated as postgres_errors
from shared.postgres.fence import read_refused
from shared.postgres.ledger import read_copied, read_ledger
from shared.postgres.side import read_side
from shared.presence import completed_epoch, is_running, read_presence
from shared.reports import read_report
from shared.settings import Settings
from shared.sqlite.connection import connect as connect_sqlite
from shared.sqlite.connection import quote, reading
from shared.sqlite.connection import translated as sqlite_errors
from shared.sqlite.fence import closed_tables
from shared.sqlite.replica_state import read_standing
from shared.sqlite.state import check_stream, read_state

_SPAN = "SELECT (SELECT min(seq) FROM _switchback_log), (SELECT max(seq) FROM _switchback_log)"
_OLDEST = "SELECT ms FROM _switchback_log WHERE seq > ? ORDER BY seq LIMIT 1"

_COUNTED = 100_000
_NOT_THERE = "not there yet"


class _Copy(Struct):
    """What the checkpoint in the source says of a table's snapshot."""

    total: int = 0


class _Checkpoint(Struct):
    tables: dict[str, _Copy] = {}


class Watch:
    """Looks at one stream again and again over the same connections; daemons' notes from before ``since`` are old."""

    def __init__(self, settings: Settings, since: float = 0.0) -> None:
        self._settings = settings
        self._since = since
        self._source: sqlite3.Connection | None = None
        self._target: psycopg.Connection[Any] | None = None
        self._log: LogBackend | None = None
        self._channel: Channel | None = None
        self._totals: dict[str, int] = {}  # rows by table, as the checkpoint says
        self._estimates: dict[str, int | None] = {}  # rows by table, guessed

    def look(self) -> Status:
        """The stream's status; never raises for what it looks at."""
        since = completed_since(self._settings)
        if since and not log_is_there(self._settings):
            return _completed(self._settings)
        ledger, copied = self._look_at_target()  # before the source: so that the lag is never too small
        unfinished = [name for name, (_, done) in copied.items() if not done]
        source, lag_seconds = self._look_at_source(ledger.seq, unfinished)
        tables = [TableStatus(name, rows, self._total(name, rows, done), done) for name, (rows, done) in copied.items()]
        log, trouble = self._look_at_log()
        switch = self._look_at_switch(log)
        switch.completed_since = since if switch.completed else ""
        if switch.primary == "postgres" and not switch.completed:
            source.seq, lag_seconds = self._look_back(source, ledger)
            switch.way_back, switch.way_back_until = self._way_back(lag_seconds)
        measured = source.installed and ledger.exists and switch.primary != UNKNOWN
        status = Status(
            stream=self._settings.stream,
            source=source,
            log=log,
            ledger=ledger,
            tables=tables,
            daemons=[daemon_status(self._settings, name, self._since) for name in DAEMONS],
            lag_changes=max(0, source.seq - ledger.seq) if measured else None,
            lag_seconds=lag_seconds if measured else None,
            trouble=trouble,
            switch=switch,
            warnings=warn(source, self._settings.changelog_warn_rows, self._settings.wal_warn_mb),
        )
        phase, summary = summarise(status)
        return structs.replace(status, phase=phase, summary=summary)

    def _total(self, name: str, rows: int, done: bool) -> int | None:  # noqa: FBT001
        if done:
            return rows
        estimate = self._totals.get(name) or self._estimates.get(name)
        return None if estimate is None else max(rows, estimate)

    def close(self) -> None:
        """Let go of all connections."""
        for part in (self._source, self._target, self._log):
            if part is not None:
                part.close()
        self._source = self._target = self._log = self._channel = None

    def _look_at_target(self) -> tuple[LedgerStatus, dict[str, tuple[int, bool]]]:
        try:
            if self._target is None or self._target.closed:
                dsn = self._settings.target.get_secret_value()  # its password may stand in a file
                if not dsn:
                    return LedgerStatus(error="no target given"), {}
                self._target = connect_postgres(dsn, application_name="switchback-status")
            with postgres_errors(where="the target's ledger"):
                return _read_target(self._target, self._settings.stream)
        except SwitchbackError as error:
            if self._target is not None:
                self._target.close()
                self._target = None
            return LedgerStatus(error=str(error)), {}

    def _look_at_source(self, applied: int, unfinished: list[str]) -> tuple[SourceStatus, float | None]:
        path = self._settings.source
        if path == Path():
            return SourceStatus(error="no source given"), None
        try:
            if self._source is None:
                self._source = connect_sqlite(path, readonly=True, busy_seconds=2.0)
            with sqlite_errors(path), reading(self._source):
                for name in unfinished:
                    if name not in self._estimates:
                        self._estimates[name] = _estimate(self._source, name)
                return self._read_source(self._source, path, applied)
        except (SwitchbackError, OSError) as error:
            if self._source is not None:
                self._source.close()
                self._source = None
            what = f"the file cannot be looked at: {error.strerror}" if isinstance(error, OSError) else str(error)
            return SourceStatus(path=str(path), error=what), None

    def _read_source(self, db: sqlite3.Connection, path: Path, applied: int) -> tuple[SourceStatus, float]:
        wal = path.with_name(path.name + "-wal")
        status = SourceStatus(str(path), path.stat().st_size, wal.stat().st_size if wal.exists() else 0)
        state = read_state(db)
        if not state:
            return status, 0.0
        self._totals = _totals(state.get("checkpoint"))
        lowest, highest = db.execute(_SPAN).fetchone()
        oldest = db.execute(_OLDEST, (applied,)).fetchone()
        status.installed, status.incarnation = True, state.get("incarnation", "")
        status.seq = highest or 0
        status.changelog_rows = highest - lowest + 1 if highest else 0
        return status, max(0.0, time.time() - oldest[0] / 1000) if oldest else 0.0

    def _look_at_log(self) -> tuple[LogStatus, str]:
        url = self._settings.log
        try:
            if self._log is None:
                self._log = open_log_of(self._settings, make=False)
            first, end = self._log.spine.bounds()
            if self._channel is None:
                self._channel = Channel(self._log.control)
            replica = self._channel.open().replica
            return LogStatus(url, first, end), read_report(self._log, replica).trouble
        except NoLog:
            return LogStatus(url, error=_NOT_THERE), ""
        except SwitchbackError as error:
            self._log = self._channel = None
            return LogStatus(url, error=str(error)), ""

    def _look_at_switch(self, log: LogStatus) -> SwitchStatus:
        if self._channel is None:
            if completed_since(self._settings):
                return _switch_completed(self._settings)
            return self._ask_databases(begun=log.error != _NOT_THERE)
        found = describe(self._channel.state, time.time_ns() // 1_000_000)
        if self._target is not None and not self._target.closed:
            with contextlib.suppress(SwitchbackError), postgres_errors(where="the fence"):
                refused = read_refused(self._target)
                who = f"{refused.application or 'no name'}, process {refused.pid}, user {refused.user or 'gone'}"
                found.refused, found.refused_last = refused.count, f"table {refused.table} ({who})"
        return found

    def _ask_databases(self, *, begun: bool) -> SwitchStatus:
        """Where there is no log, and no database has heard of a switch, nothing has begun."""
        sqlite, postgres = self._standing_of_source(), self._standing_of_target()
        begun |= sqlite is not None and (sqlite.role != "primary" or sqlite.epoch > 0)
        begun |= postgres is not None and (postgres.role != "replica" or postgres.epoch > 0)
        return describe_databases(sqlite, postgres) if begun else SwitchStatus()

    def _standing_of_source(self) -> Standing | None:
        if self._source is None:
            return None
        with (
            contextlib.suppress(SwitchbackError),
            sqlite_errors(self._settings.source),
            reading(self._source),
        ):
            state = read_state(self._source)
            check_stream(state, self._settings.stream)
            if not state and closed_tables(self._source):  # left by `complete`
                return Standing(0, "replica", "")
            return read_standing(self._source)
        return None

    def _standing_of_target(self) -> Standing | None:
        if self._target is None or self._target.closed:
            return None
        with contextlib.suppress(SwitchbackError), postgres_errors(where="the target's side"):
            side = read_side(self._target, self._settings.stream)
            return Standing(side.epoch, side.role, side.attempt) if side else None
        return None

    def _look_back(self, source: SourceStatus, ledger: LedgerStatus) -> tuple[int, float | None]:
        """With PostgreSQL as primary: puts the file's place into ``ledger``; the last change written, and the lag."""
        try:
            back = look_back(self._settings)
        except SwitchbackError as error:
            source.error = source.error or str(error)
            return ledger.seq, None
        ledger.seq = back.applied
        return back.written, max(0.0, time.time() - back.oldest_ms / 1000) if back.oldest_ms else 0.0

    def _way_back(self, lag_seconds: float | None) -> WayBack:
        kept = self._settings.log.startswith("embedded:")
        return way_back(lag_seconds, None if kept else self._settings.retention_days, time.time())


def _completed(settings: Settings) -> Status:
    """All that is left to say when `complete` has removed what would tell more."""
    status = Status(
        stream=settings.stream,
        source=SourceStatus(str(settings.source)),
        log=LogStatus(settings.log),
        ledger=LedgerStatus(),
        tables=[],
        daemons=[],
        switch=_switch_completed(settings),
    )
    phase, summary = summarise(status)
    return structs.replace(status, phase=phase, summary=summary)


def _switch_completed(settings: Settings) -> SwitchStatus:
    """What the note in the state folder says; going forward ended it."""
    return SwitchStatus(
        primary="postgres",
        epoch=completed_epoch(settings.state_dir, settings.stream),
        completed=True,
        completed_since=completed_since(settings),
    )


def daemon_status(settings: Settings, name: str, since: float = 0.0) -> DaemonStatus:
    """What its note says, and whether it lives."""
    note = read_presence(settings.state_dir, settings.stream, name)
    if note is None or note.started < since:
        return DaemonStatus(name)
    metrics = f"http://{note.bind}:{note.port}/metrics" if note.port else ""
    if is_running(settings.state_dir, settings.stream, name):
        state: DaemonState = "waiting" if note.trouble else "running"
        return DaemonStatus(name, state, note.pid, note.started, metrics, note.trouble)
    if note.ended is None:
        return DaemonStatus(name, "killed", since=note.started, reason="it was killed, or the machine went down")
    return DaemonStatus(name, "stopped", since=note.ended, reason=note.error, exit_code=note.exit_code)


def look_once(settings: Settings) -> Status:
    """The status of this moment."""
    with closing(Watch(settings)) as watch:
        return watch.look()


def as_json(status: Status) -> dict[str, object]:
    """The status with what follows from it, for scripts: ``synced`` is what they want to wait for."""
    return {**msgspec.to_builtins(status), "synced": status.synced}


def _read_target(db: psycopg.Connection[Any], stream: str) -> tuple[LedgerStatus, dict[str, tuple[int, bool]]]:
    row = read_ledger(db, stream)
    if row is None:
        return LedgerStatus(), {}
    status = LedgerStatus(
        exists=True,
        incarnation=row.incarnation,
        lease=row.lease,
        number=row.number,
        log_offset=row.log_offset,
        epoch=row.epoch,
        seq=row.seq,
        copied=row.copied,
        age_seconds=max(0.0, (row.now - row.applied_at).total_seconds()),
    )
    return status, read_copied(db, stream)


def _estimate(db: sqlite3.Connection, name: str) -> int | None:
    """About how many rows, quickly: the range of the rowids, or where there are none a count of a few."""
    table = quote(name)
    try:
        span = db.execute(f"SELECT max(rowid) - min(rowid) + 1 FROM {table}").fetchone()[0]  # noqa: S608  (quoted)
    except sqlite3.OperationalError:
        few = f"SELECT count(*) FROM (SELECT 1 FROM {table} LIMIT {_COUNTED})"  # noqa: S608  (quoted)
        rows: int = db.execute(few).fetchone()[0]
        return rows if rows < _COUNTED else None
    return span if isinstance(span, int) else 0


def _totals(checkpoint: str | None) -> dict[str, int]:
    if not checkpoint:
        return {}
    try:
        tables = msgspec.json.decode(checkpoint, type=_Checkpoint).tables
    except msgspec.DecodeError:
        return {}
    return {name: table.total for name, table in tables.items()}
