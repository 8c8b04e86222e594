"""Closing the PostgreSQL primary: the lock that writers wait for, and the fence that is put up behind it.

The lock is asked for in short tries, each ended before PostgreSQL would look for a deadlock: writers that come
meanwhile queue behind it, and none of them may be made a victim.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import psycopg
from psycopg import errors, sql

from capture.postgres import queries
from capture.postgres.source import PostgresSource
from capture.progress import Progress, encode_progress
from shared.control.records import now_ms
from shared.control.standing import Standing
from shared.errors import LeaseLost, Retry
from shared.groups import Position
from shared.postgres.connection import connect, translated
from shared.postgres.fence import switch
from shared.postgres.guards import keep_guards
from shared.postgres.ledger import read_ledger
from shared.postgres.maintenance import ask_to_give_way, maintained
from shared.postgres.reverse import current_schema
from shared.postgres.sequences import last_numbers
from shared.postgres.side import read_side, set_role
from shared.postgres.tries import short_tries
from shared.postgres.version import bring_up

_TRY_MS = (25, 25, 50, 50, 50, 100, 100, 250)
_PAUSE_SECONDS = 0.03
_GRACE_MS = 10_000


class PostgresHold:
    """Implements capture.primary.Primary for a database."""

    def __init__(self, dsn: Callable[[], str], stream: str) -> None:
        """``dsn`` is asked at each connection: the password may have been changed since the last one."""
        self._dsn = dsn
        self._stream = stream
        self._db: psycopg.Connection[Any] | None = None
        self._prepared = False  # the fence, in the held transaction
        self.source: PostgresSource | None = None
        self.lease = 0
        self.since_ms = 0

    def standing(self) -> Standing:
        """What the database says of itself."""
        with self._connected() as db, translated(where="the primary, PostgreSQL"):
            bring_up(db)
            side = read_side(db, self._stream)
        return Standing(side.epoch, side.role, side.attempt) if side else Standing(0, "replica", "")

    def closed_at(self) -> Position:
        """The last group in its ledger."""
        with self._connected() as db, translated(where="the ledger"):
            ledger = read_ledger(db, self._stream)
        return ledger.position if ledger else Position()

    def _connected(self) -> psycopg.Connection[Any]:
        return connect(self._dsn(), application_name=f"switchback-hold {self._stream}")

    def hold(self, patience: float) -> str:
        """Lock all tables against writers."""
        self._db = self._connected()
        try:
            with translated(where="holding PostgreSQL's writers"):
                trouble = self._try_for(self._db, patience)
        except BaseException:
            self.let_go()
            raise
        if trouble:
            self.let_go()
        return trouble

    def _try_for(self, db: psycopg.Connection[Any], patience: float) -> str:
        deadline = time.monotonic() + patience
        tries = short_tries(db, _TRY_MS)
        while (tables := self._maintained(db)) or not self._lock(db, patience, next(tries)):
            left = deadline - time.monotonic()
            if left <= 0:
                return f"writers of PostgreSQL did not end within {patience:g} s{self._locker(db)}"
            if tables:
                ask_to_give_way(db, tables[0], left)
            else:
                time.sleep(_PAUSE_SECONDS)
        if self.source:
            row = db.execute("SELECT pg_backend_pid()").fetchone()  # what a pooler says when connecting is not it
            self.source.holder = row[0] if row else 0
        return ""

    def _lock(self, db: psycopg.Connection[Any], patience: float, try_ms: int) -> bool:
        db.execute("BEGIN")
        db.execute(f"SET LOCAL lock_timeout = {try_ms}".encode())
        db.execute(f"SET LOCAL idle_in_transaction_session_timeout = {int(patience * 1000) + _GRACE_MS}".encode())
        try:
            self._check(db)
            self.since_ms = now_ms()
            tables = sql.SQL(", ").join(sql.Identifier(home, name) for home, name in self._names(db))
            db.execute(f"SET LOCAL statement_timeout = {try_ms}".encode())  # all tables together, not each
            db.execute(sql.SQL("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE").format(tables))
            db.execute("SET LOCAL statement_timeout = 0")
        except (errors.LockNotAvailable, errors.DeadlockDetected, errors.QueryCanceled):
            db.execute("ROLLBACK")
            return False
        return True

    def _maintained(self, db: psycopg.Connection[Any]) -> list[str]:
        """Tables that somebody vacuums or analyses: the lock cannot be had, and writers would wait for nothing."""
        names = [table.name for table in self.source.schema.tables] if self.source else []
        return maintained(db, current_schema(db), names)

    def _check(self, db: psycopg.Connection[Any]) -> None:
        side = read_side(db, self._stream, lock=True)
        if side is None or side.role != "primary":
            raise Retry("PostgreSQL was closed just now", where=f"stream {self._stream}")
        if self.lease and side.lease != self.lease:
            what = f"another capture has taken over with lease {side.lease}"
            raise LeaseLost(what, where=f"stream {self._stream}", remedy="Run one capture a stream")

    def _locker(self, db: psycopg.Connection[Any]) -> str:
        names = [sql.Identifier(home, name).as_string(db) for home, name in self._names(db)]
        row = db.execute(queries.LOCKERS, (names,)).fetchone()
        if row is None:
            return ""
        pid, name, user, prepared, seconds = row
        if prepared is not None:
            return f": the prepared transaction {prepared} was left {seconds} s ago"
        return f": process {pid} ({name}, user {user or 'none'}) writes for {seconds} s"

    def _names(self, db: psycopg.Connection[Any]) -> list[tuple[str, str]]:
        home = current_schema(db)
        return [(home, table.name) for table in self.source.schema.tables] if self.source else []

    def sequences(self) -> dict[str, int]:
        """The last number that each sequence gave out."""
        with translated(where="PostgreSQL's sequences"):
            return last_numbers(self._held, self.source.schema) if self.source else {}

    def prepare_fence(self) -> None:
        """Put the fence up, uncommitted."""
        with translated(where="the fence"):
            switch(self._held, [name for _, name in self._names(self._held)], primary=False)
            self._prepared = True

    def let_go(self) -> None:
        """Roll back."""
        db, self._db = self._db, None
        self._prepared = False
        if self.source:
            self.source.holder = 0
        if db is not None:
            db.close()

    def fence(
        self,
        attempt: str,
        epoch: int,
        position: Position,
        progress: Progress,
        patience: float,  # noqa: ARG002  (nobody is in the way of a commit here)
    ) -> str:
        """Commit the fence."""
        if not self._prepared:
            self.prepare_fence()
        db = self._held
        with translated(where="closing PostgreSQL"), db.pipeline():  # one way there and back, for writers wait
            db.execute(queries.KEEP, (encode_progress(progress), self._stream))
            db.execute(queries.CLOSE, (*position.parts, epoch, self._stream))
            set_role(db, self._stream, role="replica", epoch=epoch, attempt=attempt)
            db.execute("COMMIT")
        self.let_go()
        return ""

    def unfence(self, attempt: str) -> bool:
        """Take the fence down if it is that attempt's."""
        with self._connected() as db, translated(where="opening PostgreSQL again"), db.transaction():
            side = read_side(db, self._stream, lock=True)
            if side is None or side.role != "replica" or side.attempt != attempt:
                return False
            source = self.source or PostgresSource(self._dsn(), self._stream)
            names = [table.name for table in source.schema.tables]
            switch(db, names, primary=True)
            keep_guards(db, self._stream, names)
            set_role(db, self._stream, role="primary", epoch=side.epoch - 1, attempt=attempt)
            if source is not self.source:
                source.close()
        return True

    @property
    def _held(self) -> psycopg.Connection[Any]:
        assert self._db is not None, "nothing is held"
        return self._db
