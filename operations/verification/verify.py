"""A verification from its beginning to its end: all rows, some tables, or the keys that changed since.

A full pass takes its time while the source changes, so a row may be changed, or moved to another key,
behind its back.  Therefore it ends with the keys that changed since it began.  What it then says holds
at one place in the history: the one where the replica stood when that last look began.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Generator, Sequence
from contextlib import closing
from typing import Literal, Protocol

from msgspec import Struct

from operations.verification.changed import changed_keys
from operations.verification.comparing import Key
from operations.verification.findings import Finding, Findings
from operations.verification.judging import Primary
from operations.verification.passes import Cursor, TablePass
from operations.verification.record import (
    Place,
    Unfinished,
    Verified,
    keep_unfinished,
    keep_verified,
    prepare_record,
    read_record,
)
from operations.verification.session import Session
from operations.verification.view import View
from shared.errors import BadInput
from shared.tables import Schema

CHUNK_ROWS = 5_000
"""Rows of a chunk: a read of some tens of milliseconds, for without WAL it makes the application wait."""

_SAVE_SECONDS = 2.0

Scope = Literal["full", "tables", "changed"]


class Progress(Protocol):
    """What a pass tells while it runs."""

    def table(self, name: str, rows: int, total: int) -> None:
        """So many rows of a table were compared, out of about ``total``."""

    def looking_again(self, keys: int) -> None:
        """So many changed keys were looked at."""


class TableResult(Struct):
    """A table's figures: rows compared, changed keys looked at, rows that differ, rows that a repair put right."""

    name: str
    rows: int = 0
    keys: int = 0
    wrong: int = 0
    repaired: int = 0


class Report(Struct):
    """The outcome: what was compared is equal at ``place`` if ``wrong_rows`` is 0."""

    scope: Scope
    place: Place
    seconds: float
    tables: list[TableResult]
    findings: list[Finding]
    wrong_rows: int
    resumed: bool = False
    since: Place | None = None
    primary: Primary = "sqlite"

    @property
    def equal(self) -> bool:
        """Whether nothing is wrong."""
        return self.wrong_rows == 0


class Run:
    """One verification under way: what was looked at, and what is wrong."""

    def __init__(self, session: Session, progress: Progress, findings: Findings, *, repair: bool) -> None:
        self._session = session
        self._progress = progress
        self._repair = repair
        self.findings = findings
        self.results = {name: TableResult(name) for name in session.views}

    def look(self, name: str, keys: Sequence[Key]) -> None:
        """Look at these keys until it is certain what is wrong."""
        if not keys or name not in self._session.views:
            return
        outcome = self._session.verify_keys(self._session.views[name], keys, repair=self._repair)
        self.findings.looked_at(name, keys, outcome.wrong)
        self.results[name].wrong += len(outcome.wrong)
        self.results[name].repaired += outcome.repaired

    def compare_table(self, name: str, cursor: Cursor, version: int) -> Generator[Cursor, None, None]:
        """Compare a table from that cursor on; gives the cursor behind each chunk that is settled."""
        view, source = self._session.views[name], self._session.source
        table_pass = TablePass(source, self._session.ahead, view, cursor, CHUNK_ROWS)
        with closing(table_pass.steps()) as steps:
            for step in steps:
                if source.version != version and _pages_by_rowid(view):
                    break
                self.look(name, step.doubtful)
                self.results[name].rows = table_pass.cursor.rows
                self._progress.table(name, table_pass.cursor.rows, self._session.copied.get(name, 0))
                yield table_pass.cursor
            else:
                yield table_pass.cursor
                return
        yield from self.compare_table(name, Cursor(), source.version)

    def look_at_changes(self, since: Place) -> Place:
        """Look at all keys that changed behind that place; returns the place up to which that holds."""
        session = self._session
        upto, looked = session.place, 0
        schema = Schema(tuple(view.table for view in session.views.values()))
        for name, keys in changed_keys(session.settings, schema, since, upto):
            self.look(name, keys)
            self.results[name].keys += len(keys)
            looked += len(keys)
            self._progress.looking_again(looked)
        return upto

    def look_at_findings(self) -> None:
        """Look again at what was wrong before: it may have been put right."""
        for name, keys in self.findings.keys().items():
            self.look(name, [key for key in keys if key])

    def report(self, scope: Scope, place: Place, seconds: float) -> Report:
        """The outcome."""
        results, primary = list(self.results.values()), self._session.primary
        return Report(scope, place, seconds, results, self.findings.kept, self.findings.rows, primary=primary)


def verify_all(session: Session, progress: Progress, *, repair: bool = False) -> Report:
    """Compare everything, going on where an interrupted pass was; the outcome is kept in the replica."""
    began, db, stream = time.time(), session.replica.db, session.settings.stream
    prepare_record(db)
    unfinished = _go_on(session, read_record(db, stream)[0])
    resumed = unfinished is not None
    unfinished = unfinished or Unfinished(began, session.place, session.source.version, {})
    session.need_log_from(unfinished.place, anew=False)
    run = Run(session, progress, Findings(unfinished.findings), repair=repair)
    run.look_at_findings()
    saver = _Saver(session, unfinished, run)
    for name in session.views:
        cursor = unfinished.cursors.get(name, Cursor())
        if not cursor.done:
            with closing(run.compare_table(name, cursor, unfinished.version)) as cursors:
                for reached in cursors:
                    saver.save(name, reached)
        run.results[name].rows = unfinished.cursors[name].rows
    place = _look_at_changes(session, run, unfinished.place)
    now = time.time()
    rows = sum(result.rows for result in run.results.values())
    verified = Verified(unfinished.began_at, now, now, place, rows, run.findings.rows, run.findings.kept)
    keep_verified(db, stream, verified)
    session.tell(verified)
    session.need_log_from(place)
    report = run.report("full", place, saver.seconds)
    report.resumed = resumed
    return report


def _look_at_changes(session: Session, run: Run, since: Place) -> Place:
    try:
        return run.look_at_changes(since)
    except BadInput:
        keep_unfinished(session.replica.db, session.settings.stream, None)  # going on with it would end here again
        raise


def verify_tables(session: Session, progress: Progress, *, repair: bool = False) -> Report:
    """Compare the session's tables; nothing is kept of it."""
    began, since = time.monotonic(), session.place
    run = Run(session, progress, Findings(), repair=repair)
    for name in session.views:
        deque(run.compare_table(name, Cursor(), session.source.version), maxlen=0)
    place = run.look_at_changes(since)
    return run.report("tables", place, time.monotonic() - began)


def verify_changed(session: Session, progress: Progress, *, repair: bool = False) -> Report:
    """Compare the keys that changed since the last full verification, and those that were wrong then.

    Raises BadInput where there was none, where too much was wrong to be kept, or the log no longer goes back to it.
    Where the session has all tables, the next one begins where this one ends.
    """
    began, db, stream = time.monotonic(), session.replica.db, session.settings.stream
    verified = last_verified(session)
    run = Run(session, progress, Findings(verified.findings), repair=repair)
    run.look_at_findings()
    since = verified.place
    place = run.look_at_changes(since)
    if session.whole:
        verified.looked_at, verified.place = time.time(), place
        verified.wrong_rows, verified.findings = run.findings.rows, run.findings.kept
        keep_verified(db, stream, verified)
        session.tell(verified)
        session.need_log_from(place)
    report = run.report("changed", place, time.monotonic() - began)
    report.since = since
    return report


class _Saver:
    """Keeps how far a full pass has come, now and then."""

    def __init__(self, session: Session, unfinished: Unfinished, run: Run) -> None:
        self._session = session
        self._unfinished = unfinished
        self._run = run
        self._began = self._saved = time.monotonic()
        self._seconds = unfinished.seconds

    @property
    def seconds(self) -> float:
        """How long the pass has taken, without its interruptions."""
        return self._seconds + time.monotonic() - self._began

    def save(self, name: str, cursor: Cursor) -> None:
        """Everything up to this cursor is settled.  The way back from PostgreSQL's keys begins anew after a break."""
        kept = self._unfinished
        after = () if cursor.back else cursor.after
        kept.cursors[name] = Cursor(after, cursor.by_keys, cursor.back, cursor.rows, cursor.done)
        kept.version = self._session.source.version
        now = time.monotonic()
        if now < self._saved + _SAVE_SECONDS:
            return
        kept.findings, kept.wrong_rows = self._run.findings.kept, self._run.findings.rows
        kept.seconds = self.seconds
        keep_unfinished(self._session.replica.db, self._session.settings.stream, kept)
        self._saved = time.monotonic()


def _go_on(session: Session, unfinished: Unfinished | None) -> Unfinished | None:
    """The interrupted pass, unless it was over another replica, or found more than could be kept."""
    if unfinished is None or not _fits(session, unfinished.place):
        return None
    if unfinished.wrong_rows > len({(f.table, f.keys) for f in unfinished.findings}):
        return None
    if unfinished.version != session.source.version:
        for name, cursor in unfinished.cursors.items():
            if name in session.views and not cursor.done and _pages_by_rowid(session.views[name]):
                unfinished.cursors[name] = Cursor()
        unfinished.version = session.source.version
    return unfinished


def last_verified(session: Session) -> Verified:
    """The last full verification; BadInput where there was none, or what it found wrong is not all known."""
    verified = read_record(session.replica.db, session.settings.stream)[1]
    remedy = "Verify everything: `switchback verify`"
    where = f"stream {session.settings.stream}"
    if verified is None or not _fits(session, verified.place):
        raise BadInput("there was no full verification yet", where=where, remedy=remedy)
    if verified.wrong_rows > len({(f.table, f.keys) for f in verified.findings}):
        raise BadInput("the last full verification found more than could be kept", where=where, remedy=remedy)
    return verified


def _fits(session: Session, place: Place) -> bool:
    now = session.place
    return place.incarnation == now.incarnation and place.number <= now.number


def _pages_by_rowid(view: View) -> bool:
    """Whether the rowid, which a VACUUM gives out anew, says where a chunk begins."""
    return not view.ranged and bool(view.table.rowid_name) and view.table.identity is None
