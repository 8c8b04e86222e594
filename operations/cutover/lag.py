"""How far the replica is behind, and how fast changes come, in either direction."""

from __future__ import annotations

import time
from contextlib import closing
from typing import Any, NamedTuple

import psycopg

from shared.control.fold import State
from shared.errors import Stop
from shared.postgres.connection import connect, translated
from shared.postgres.ledger import read_ledger
from shared.postgres.snapshots import Snapshot
from shared.settings import Settings
from shared.sqlite.changelog import high
from shared.sqlite.connection import connect as connect_sqlite
from shared.sqlite.connection import reading
from shared.sqlite.connection import translated as sqlite_errors
from shared.sqlite.replica_state import read_ledger as read_file_ledger

_SPAN_SECONDS = 0.4
_LOOKS = 6
_CHECKPOINT = """
SELECT coalesce(j.progress ->> 'snapshot', ''), coalesce(j.progress ->> 'horizon', ''),
       coalesce((j.progress ->> 'seq')::bigint, 0), coalesce((j.progress ->> 'floor')::bigint, 0)
  FROM (SELECT nullif(checkpoint, '')::json AS progress FROM switchback.side WHERE stream = %s) AS j
"""
_BEHIND = """
SELECT count(*) FROM switchback.changes AS c JOIN switchback.captured AS t USING (number)
 WHERE t.stream = %s AND c.seq > %s AND c.xid >= %s::text::xid8 AND NOT pg_visible_in_snapshot(c.xid, %s::pg_snapshot)
"""
_OLDEST = """
SELECT c.ms FROM switchback.changes AS c JOIN switchback.captured AS t USING (number)
 WHERE t.stream = %s ORDER BY c.xid DESC, c.seq DESC OFFSET %s LIMIT 1
"""
"""The change behind which so many follow: what is applied is forgotten later, and always the oldest first."""


class Back(NamedTuple):
    """The last change written and the last one applied; when the oldest between them was committed, Unix ms."""

    written: int
    applied: int
    oldest_ms: int | None = None


class Lag(NamedTuple):
    """Changes that are not applied; for how long the oldest of them has waited at the most; changes a second."""

    changes: int
    seconds: float
    rate: float
    applied_rate: float

    @property
    def drain_seconds(self) -> float:
        """How long the rest takes to go through, at the speed seen."""
        speed = max(self.applied_rate, self.rate, 1_000.0)
        return self.changes / speed


def measure_lag(settings: Settings, state: State) -> Lag:
    """Look, and look again until what was written by then is applied, or has been waited for too long."""
    look = _forward if state.primary == "sqlite" else look_back
    first, began = look(settings), time.monotonic()
    for _ in range(_LOOKS):
        time.sleep(_SPAN_SECONDS)
        now = look(settings)
        if now.applied >= first.written:
            break
    span = time.monotonic() - began
    rate, applied_rate = (now.written - first.written) / span, (now.applied - first.applied) / span
    changes = max(0, now.written - now.applied)
    waited = 0.0 if now.applied >= first.written else changes / applied_rate if applied_rate > 0 else float("inf")
    return Lag(changes, waited, rate, applied_rate)


def _forward(settings: Settings) -> Back:
    """The last change written in SQLite and the last one applied in PostgreSQL; the latter first."""
    with closing(connect(settings.target.get_secret_value(), application_name="switchback-cutover")) as db:
        with translated(where="the ledger"):
            ledger = read_ledger(db, settings.stream)
        if ledger is None or not ledger.copied:
            raise Stop("the copy is not finished", remedy="Wait until `switchback status` says that it is in step")
    path = settings.source
    with closing(connect_sqlite(path, readonly=True)) as file, sqlite_errors(path), reading(file):
        return Back(high(file), ledger.seq)


def look_back(settings: Settings) -> Back:
    """The same with the sides changed; what PostgreSQL has published since its last checkpoint counts as written."""
    path = settings.source
    with closing(connect_sqlite(path, readonly=True)) as file, sqlite_errors(path), reading(file):
        ledger = read_file_ledger(file)
    dsn = settings.target.get_secret_value()
    with closing(connect(dsn, application_name="switchback-cutover")) as db, translated(where="the change log"):
        db.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")  # capture moves its checkpoint, and prunes then
        written = _written(db, settings.stream)
        if ledger is None or written is None:
            raise Stop("the databases do not say that they are replica and primary", remedy="See `switchback status`")
        behind = written - ledger.seq
        oldest = db.execute(_OLDEST, (settings.stream, behind - 1)).fetchone() if behind > 0 else None
    return Back(written, ledger.seq, oldest[0] if oldest else None)


def _written(db: psycopg.Connection[Any], stream: str) -> int | None:
    """The number of the last change that is committed, in the spine's numbering; None where nothing is known of it."""
    checkpoint = db.execute(_CHECKPOINT, (stream,)).fetchone()
    if checkpoint is None:
        return None
    snapshot, horizon, seq, floor = checkpoint
    published = Snapshot.of(snapshot, horizon)
    [behind] = db.execute(_BEHIND, (stream, floor, str(published.horizon), str(published))).fetchone() or [0]
    return int(seq) + int(behind)
