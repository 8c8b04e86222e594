"""Closing the SQLite primary: the held write transaction, and the fence that is put up inside it.

A second connection takes SQLite's write lock, so that writers wait in their busy timeouts while the first one
goes on reading what was committed.  Whatever is not committed goes with the connection, also if this process dies.
"""

from __future__ import annotations

import base64
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from capture.progress import Progress, encode_progress
from shared import wire
from shared.control.records import now_ms
from shared.control.standing import Standing
from shared.errors import LeaseLost, Retry
from shared.groups import Position
from shared.sqlite import fence
from shared.sqlite.changelog import settle
from shared.sqlite.connection import connect, reading, translated, writing
from shared.sqlite.replica_state import SqliteLedger, read_ledger, read_standing, write_ledger
from shared.sqlite.state import check_stream, read_state, write_state
from shared.tables import Schema

_SEQUENCES = "SELECT name, seq FROM sqlite_sequence"
_HAS_SEQUENCES = "SELECT 1 FROM sqlite_master WHERE name = 'sqlite_sequence'"


class SqliteHold:
    """Implements capture.primary.Primary for a file."""

    def __init__(self, path: Path, stream: str) -> None:
        self._path = path
        self._stream = stream
        self._db: sqlite3.Connection | None = None
        self._prepared = False  # the fence, in the held transaction
        self.schema = Schema(())  # what is closed; known once the file is opened as a source
        self.lease = 0
        self.since_ms = 0

    def standing(self) -> Standing:
        """What the file says of itself; BadInput where it says so to another stream."""
        with translated(self._path), closing(connect(self._path)) as db, reading(db):
            check_stream(read_state(db), self._stream)  # to this one its fence may look like one to take down
            return read_standing(db)

    def closed_at(self) -> Position:
        """The last group in its ledger."""
        with translated(self._path), closing(connect(self._path)) as db, reading(db):
            ledger = read_ledger(db)
        return ledger.position if ledger else Position()

    def hold(self, patience: float) -> str:
        """Take the write lock."""
        with translated(self._path):
            db = connect(self._path, busy_seconds=patience)
            try:
                db.execute("PRAGMA synchronous = FULL")  # no crash undoes the fence, whatever SQLite's default is here
                db.execute("PRAGMA wal_autocheckpoint = 0")  # the fence's commit is waited for
                read_state(db)  # with that SQLite reads the schema: not while writers wait
                db.execute("BEGIN IMMEDIATE")
                self.since_ms = now_ms()
                self._check_lease(db)
                while settle(db):  # those deletes have to be published with the rest
                    db.execute("COMMIT")
                    db.execute("BEGIN IMMEDIATE")
                    self._check_lease(db)
            except sqlite3.OperationalError as error:
                db.close()
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                    raise
                return f"another program has written to {self._path} for {patience:g} s without a commit"
            except BaseException:
                db.close()
                raise
        self._db = db
        return ""

    def _check_lease(self, db: sqlite3.Connection) -> None:
        state = read_state(db)
        if state.get("role", "primary") != "primary":
            raise Retry("the source was closed just now", where=str(self._path))
        lease = int(state.get("lease", "0"))
        if self.lease and lease != self.lease:
            what = f"another capture has taken over with lease {lease}"
            raise LeaseLost(what, where=str(self._path), remedy="Run one capture a source")

    def sequences(self) -> dict[str, int]:
        """What AUTOINCREMENT has given out, by table."""
        names = set(self.schema.by_name)
        with translated(self._path):
            db = self._held
            if not db.execute(_HAS_SEQUENCES).fetchone():
                return {}
            return {name: int(last) for name, last in db.execute(_SEQUENCES) if name in names and last}

    def prepare_fence(self) -> None:
        """Put the fence up, uncommitted."""
        with translated(self._path):
            fence.put_up(self._held, self._names)
            self._prepared = True

    def let_go(self) -> None:
        """Roll back."""
        db, self._db = self._db, None
        self._prepared = False
        if db is not None:
            db.close()

    def fence(self, attempt: str, epoch: int, position: Position, progress: Progress, patience: float) -> str:
        """Commit the fence; without WAL that waits for readers."""
        if not self._prepared:
            self.prepare_fence()
        with translated(self._path):
            db = self._held
            before = read_ledger(db) or SqliteLedger()
            write_ledger(db, before.moved(position, epoch))
            schema = base64.b64encode(wire.encode(self.schema)).decode()
            checkpoint = encode_progress(progress)
            write_state(db, role="replica", epoch=str(epoch), attempt=attempt, checkpoint=checkpoint, schema=schema)
            if not _commit(db, patience):
                return f"{self._path} was being read, and without WAL no commit is possible meanwhile"
        self.let_go()
        return ""

    def unfence(self, attempt: str) -> bool:
        """Take the fence down if it is that attempt's."""
        with translated(self._path):
            db = connect(self._path)
            try:
                with writing(db):
                    return self._unfence(db, attempt)
            finally:
                db.close()

    def _unfence(self, db: sqlite3.Connection, attempt: str) -> bool:
        standing = read_standing(db)
        if standing.role != "replica" or standing.attempt != attempt:
            return False
        fence.take_down(db)
        write_state(db, role="primary", epoch=str(standing.epoch - 1))
        return True

    @property
    def _names(self) -> Iterable[str]:
        return (table.name for table in self.schema.tables)

    @property
    def _held(self) -> sqlite3.Connection:
        assert self._db is not None, "nothing is held"
        return self._db


def _commit(db: sqlite3.Connection, patience: float) -> bool:
    """False where readers were in the way for so many seconds; nothing is committed then."""
    db.execute(f"PRAGMA busy_timeout = {round(patience * 1000)}")
    try:
        db.execute("COMMIT")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
            raise
        return False
    return True
