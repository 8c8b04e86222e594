"""The log in one SQLite file: for a migration on one machine, without a broker.

Records are rows whose id is the offset plus one; AUTOINCREMENT never gives an id out again, and a commit
that fails takes its ids back, so offsets have no gaps.  Every commit is synced to disk (synchronous=FULL),
because a group in the log counts as kept.
"""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path

import msgspec

from shared.errors import NoLog, SpineBroken
from shared.log.contract import Record, StoredRecord
from shared.log.embedded_file import connect, has_content, prepare, translated

_SEND_BYTES = 4_000_000
_FETCH_BYTES = 4_000_000
_FETCH_RECORDS = 500
_DISCARD_RECORDS = 64
_SPARE_PAGES = 8_000  # 32 MB
_VACUUM_PAGES = 2_000
_POLL_SECONDS = (0.0002, 0.005)
"""Between two looks for news: right after some came, and after a while.  Idle, that is 1 % of a core."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[tuple[str, bytes | None]]).decode


class EmbeddedStore:
    """One of the file's logs, with a connection of its own."""

    def __init__(self, path: Path, table: str) -> None:
        self._path = path
        self._table = table
        self._pending: list[tuple[bytes, bytes]] = []
        self._pending_bytes = 0
        self._last = -1
        self._pause = _POLL_SECONDS[0]
        self._db = connect(path)

    def warm(self) -> None:
        """The file is open already."""

    def send(self, record: Record) -> None:
        """Keep the record until some megabytes are there, then write them in one transaction."""
        self._pending.append((_encode(record.headers), record.value))
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
        insert = f"INSERT INTO {self._table} (headers, value) VALUES (?, ?)"  # noqa: S608  (our own name)
        with translated(self._path), self._transaction() as db:
            db.executemany(insert, pending)
            last = db.execute("SELECT last_insert_rowid()").fetchone()[0]
        self._last = last - 1

    def _transaction(self) -> _Transaction:
        return _Transaction(self._db)

    def fetch(self, offset: int, timeout: float) -> list[StoredRecord]:
        """Records from that offset on."""
        deadline = time.monotonic() + timeout
        while True:
            records = self._select(offset)
            if records:
                self._pause = _POLL_SECONDS[0]
                self._check_place(offset, records[0].offset)
                return records
            left = deadline - time.monotonic()
            if left <= 0:
                self._check_bounds(offset)
                return []
            time.sleep(min(self._pause, left))
            self._pause = min(self._pause * 1.05, _POLL_SECONDS[1])

    def _select(self, offset: int) -> list[StoredRecord]:
        """The cursor is closed before anything else happens: an open one would keep later looks at old data."""
        select = f"SELECT id, headers, value FROM {self._table} WHERE id > ? ORDER BY id LIMIT ?"  # noqa: S608
        records: list[StoredRecord] = []
        size = 0
        with translated(self._path), closing(self._db.execute(select, (offset, _FETCH_RECORDS))) as cursor:
            for number, headers, value in cursor:
                records.append(StoredRecord(number - 1, _decode(headers), value))
                size += len(value)
                if size > _FETCH_BYTES:
                    break
        return records

    def _check_place(self, offset: int, found: int) -> None:
        if found > offset:
            what = f"the log begins at offset {found}, behind {offset}"
            raise SpineBroken(what, where=str(self._path), remedy="Records were discarded unread: copy again")

    def _check_bounds(self, offset: int) -> None:
        first, end = self.bounds()
        self._check_place(offset, first)
        if offset > end:
            what = f"the log ends at offset {end - 1}, before {offset}"
            raise SpineBroken(what, where=str(self._path), remedy="The file was replaced: copy again")

    def bounds(self) -> tuple[int, int]:
        """The first offset kept and the next one."""
        both = (
            f"SELECT (SELECT min(id) FROM {self._table}),"  # noqa: S608  (our own name)
            " (SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = ?)"
        )
        with translated(self._path):
            kept, end = self._db.execute(both, (self._table,)).fetchone()
        return (end if kept is None else kept - 1), end

    def discard(self, offset: int) -> None:
        """Delete records below that offset, few at a time so that nobody waits long for the lock."""
        delete = (
            f"DELETE FROM {self._table} WHERE id IN"  # noqa: S608  (our own name)
            f" (SELECT id FROM {self._table} WHERE id <= ? ORDER BY id LIMIT {_DISCARD_RECORDS})"
        )
        with translated(self._path):
            while self._db.execute(delete, (offset,)).rowcount:
                self._shrink()

    def _shrink(self) -> None:
        """Give space back to the file system, but for some that the next records will take."""
        while self._db.execute("PRAGMA freelist_count").fetchone()[0] > _SPARE_PAGES + _VACUUM_PAGES:
            self._db.executescript(f"PRAGMA incremental_vacuum({_VACUUM_PAGES})")  # execute() would free one page

    def close(self) -> None:
        """Close the connection; pending records are dropped."""
        self._db.close()


class _Transaction:
    """BEGIN IMMEDIATE and COMMIT, or ROLLBACK after an error."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> sqlite3.Connection:
        self._db.execute("BEGIN IMMEDIATE")
        return self._db

    def __exit__(self, failed: object, *_: object) -> None:
        if not failed:
            self._commit()
        elif self._db.in_transaction:  # a full disk may have ended it already
            self._db.execute("ROLLBACK")

    def _commit(self) -> None:
        try:
            self._db.execute("COMMIT")
        except sqlite3.Error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise


class EmbeddedLog:
    """A stream's log in one file; opening it creates the file, unless it is not to be made: then NoLog."""

    def __init__(self, path: Path, *, make: bool = True) -> None:
        if not make and not has_content(path):
            raise NoLog(f"embedded:{path}")
        prepare(path)
        self.path = path
        self.spine = EmbeddedStore(path, "spine")
        self.control = EmbeddedStore(path, "control")
        self._db = connect(path)

    def report(self, replica: str, body: bytes) -> None:
        """Keep the latest report of a replica."""
        with translated(self.path):
            self._db.execute("INSERT OR REPLACE INTO report VALUES (?, ?)", (replica, body))

    def reports(self) -> dict[str, bytes]:
        """The latest reports."""
        with translated(self.path):
            return dict(self._db.execute("SELECT replica, body FROM report").fetchall())

    def close(self) -> None:
        """Close every connection."""
        self.spine.close()
        self.control.close()
        self._db.close()
