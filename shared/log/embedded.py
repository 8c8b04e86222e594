"""The log in one SQLite file: for a migration on one machine, without a broker.

Records are rows whose id is the offset plus one; AUTOINCREMENT never gives an id out again.  Every
commit is synced to disk (synchronous=FULL), because a group in the log counts as kept.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from shared.errors import BadInput, Retry, SpineBroken
from shared.log.contract import Record, RecordStore, StoredRecord

_SCHEMA = """
CREATE TABLE IF NOT EXISTS spine (id INTEGER PRIMARY KEY AUTOINCREMENT, headers BLOB NOT NULL, value BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS control (id INTEGER PRIMARY KEY AUTOINCREMENT, headers BLOB NOT NULL, value BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS report (replica TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID;
"""
_APPLICATION_ID = 0x53574C47  # "SWLG": this file is a log of ours
_BUSY_SECONDS = 30.0
_SEND_BYTES = 4_000_000
_FETCH_BYTES = 4_000_000
_FETCH_RECORDS = 500
_POLL_SECONDS = (0.0005, 0.01)  # at first, and after a while without news

_decode = msgspec.msgpack.Decoder(list[tuple[str, bytes]]).decode


class EmbeddedStore:
    """One of the file's logs, with a connection of its own."""

    def __init__(self, path: Path, table: str) -> None:
        self._db = _connect(path)
        self._table = table
        self._pending: list[tuple[bytes, bytes]] = []
        self._pending_bytes = 0
        self._last = -1

    def send(self, record: Record) -> None:
        """Keep the record until some megabytes are there, then write them in one transaction."""
        self._pending.append((msgspec.msgpack.encode(record.headers), record.value))
        self._pending_bytes += len(record.value) + 300
        if self._pending_bytes > _SEND_BYTES:
            self._write()

    def flush(self) -> int:
        """Write what is pending; the last record's offset."""
        self._write()
        return self._last

    def _write(self) -> None:
        pending, self._pending, self._pending_bytes = self._pending, [], 0
        if not pending:
            return
        with translated():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                insert = f"INSERT INTO {self._table} (headers, value) VALUES (?, ?)"  # noqa: S608  (our own name)
                self._db.executemany(insert, pending)
                last = self._db.execute("SELECT last_insert_rowid()").fetchone()[0]
                self._db.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    self._db.execute("ROLLBACK")
                raise
        self._last = last - 1

    def fetch(self, offset: int, timeout: float) -> list[StoredRecord]:
        """Records from that offset on."""
        deadline = time.monotonic() + timeout
        pause, longest = _POLL_SECONDS
        while True:
            with translated():
                records = list(self._select(offset))
            if records and records[0].offset > offset:
                what = f"the log begins at offset {records[0].offset}, behind {offset}"
                raise SpineBroken(what, remedy="Records were discarded before they were read: copy again")
            left = deadline - time.monotonic()
            if records or left <= 0:
                return records
            time.sleep(min(pause, left))
            pause = min(pause * 1.2, longest)

    def _select(self, offset: int) -> Iterator[StoredRecord]:
        select = f"SELECT id, headers, value FROM {self._table} WHERE id > ? ORDER BY id LIMIT ?"  # noqa: S608
        size = 0
        for number, headers, value in self._db.execute(select, (offset, _FETCH_RECORDS)):
            yield StoredRecord(number - 1, _decode(headers), value)
            size += len(value)
            if size > _FETCH_BYTES:
                return

    def bounds(self) -> tuple[int, int]:
        """The first offset kept and the next one."""
        first = f"SELECT min(id) FROM {self._table}"  # noqa: S608
        last = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = ?"
        with translated():
            end = self._db.execute(last, (self._table,)).fetchone()[0]
            kept = self._db.execute(first).fetchone()[0]
        return (end if kept is None else kept - 1), end

    def discard(self, offset: int) -> None:
        """Delete records below that offset."""
        delete = f"DELETE FROM {self._table} WHERE id <= ?"  # noqa: S608
        with translated():
            self._db.execute(delete, (offset,))

    def close(self) -> None:
        """Close the connection; pending records are dropped."""
        self._db.close()


class EmbeddedLog:
    """A stream's log in one file; opening it creates the file."""

    def __init__(self, path: Path) -> None:
        _prepare(path)
        self.path = path
        self.spine: RecordStore = EmbeddedStore(path, "spine")
        self.control: RecordStore = EmbeddedStore(path, "control")
        self._db = _connect(path)

    def report(self, replica: str, body: bytes) -> None:
        """Keep the latest report of a replica."""
        with translated():
            self._db.execute("INSERT OR REPLACE INTO report VALUES (?, ?)", (replica, body))

    def reports(self) -> dict[str, bytes]:
        """The latest reports."""
        with translated():
            return dict(self._db.execute("SELECT replica, body FROM report"))

    def close(self) -> None:
        """Close every connection."""
        self.spine.close()
        self.control.close()
        self._db.close()


def _connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    db.execute("PRAGMA synchronous=FULL")
    return db


def _prepare(path: Path) -> None:
    """Create the file or see that it is one of ours."""
    try:
        with contextlib.closing(_connect(path)) as db:
            mark = db.execute("PRAGMA application_id").fetchone()[0]
            tables = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            if mark != _APPLICATION_ID and tables:
                raise BadInput("the log's file is some other database", where=str(path), remedy="Name another file")
            db.execute("PRAGMA journal_mode=WAL")
            db.execute(f"PRAGMA application_id={_APPLICATION_ID}")
            db.executescript(_SCHEMA)
    except sqlite3.Error as error:
        what = f"the log's file cannot be opened: {error}"
        raise BadInput(what, where=str(path), remedy="Name a file in a folder that can be written to") from error


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """SQLite's errors about the log's file as Retry: a lock or a full disk passes."""
    try:
        yield
    except sqlite3.Error as error:
        raise Retry(f"the log's file: {error}", remedy="It goes on by itself once the cause is gone") from error
