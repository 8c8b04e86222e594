"""The door to SQLite: opening the application's file, short transactions, and errors in our words.

Nothing here creates a file or changes a setting that is kept in it (journal mode, page size, ...):
the file belongs to the application.  Functions that take a ``sqlite3.Connection`` raise sqlite3's
errors; whoever knows the path wraps them in ``translated(path)``.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote as quote_uri

from shared.errors import BadInput, Retry, Stop, SwitchbackError
from shared.groups import RawText, Value
from shared.wire import encode

Fetched = TypeVar("Fetched")

_BATCH_ROWS = 64  # so many may be large, before anybody notices that they are
_UNDECODABLE = "Could not decode to UTF-8"

_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL}
_DENIED = {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH}


def quote(name: str) -> str:
    """The name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def connect(path: Path, *, readonly: bool = False, busy_seconds: float = 5.0) -> sqlite3.Connection:
    """Open an existing database in autocommit mode; raises BadInput or Retry, never creates a file.

    ``readonly`` refuses every write on this connection.  It may be used by one thread at a time.
    """
    _check_file(path)
    with translated(path):
        db = sqlite3.connect(
            f"file:{quote_uri(str(path.absolute()))}?mode=rw",
            uri=True,
            timeout=busy_seconds,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=512,
        )
    try:
        with translated(path):
            _prepare(db, path, readonly=readonly)
    except SwitchbackError:
        db.close()
        raise
    return db


def _check_file(path: Path) -> None:
    try:
        found = path.stat()
    except FileNotFoundError:
        raise BadInput("there is no such file", where=str(path), remedy="Give the database's path") from None
    except OSError as error:
        what = f"the file cannot be looked at: {error.strerror}"
        raise BadInput(what, where=str(path), remedy="Give this user access to the file and its folder") from error
    if path.is_dir():
        raise BadInput("this is a directory", where=str(path), remedy="Give the database file in it")
    if not path.is_file():
        raise BadInput("this is not a regular file", where=str(path), remedy="Give the database's path")
    if found.st_size == 0:
        raise BadInput("the file is empty", where=str(path), remedy="Give the database that the application uses")


def _prepare(db: sqlite3.Connection, path: Path, *, readonly: bool) -> None:
    """Read the header and the whole schema now, so that a bad file is found here and not later."""
    try:
        db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.DatabaseError as error:
        if _primary_code(error) == sqlite3.SQLITE_CORRUPT:
            raise BadInput(
                f"the database is damaged: {error}",
                where=str(path),
                remedy="Run `PRAGMA integrity_check` and restore or repair the file first",
            ) from error
        raise
    if readonly:
        db.execute("PRAGMA query_only = ON")
    else:
        _check_writable(db, path)


def _check_writable(db: sqlite3.Connection, path: Path) -> None:
    """SQLite opens a file that it may not write to without a word; a write lock tells."""
    try:
        db.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        if _primary_code(error) in _BUSY:
            return  # somebody writes, so it can be written to
        if _primary_code(error) in _DENIED:
            raise _not_writable(path) from error
        raise
    db.execute("ROLLBACK")


@contextmanager
def reading(db: sqlite3.Connection) -> Iterator[None]:
    """One consistent view, from the first SELECT on.  Keep it short: without WAL it blocks the writers' commits."""
    db.execute("BEGIN")
    try:
        yield
    finally:
        _roll_back(db)


@contextmanager
def writing(db: sqlite3.Connection) -> Iterator[None]:
    """A write transaction that holds the lock from the start; rolled back on any exception."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        _roll_back(db)
        raise


def _roll_back(db: sqlite3.Connection) -> None:
    if db.in_transaction:  # some errors (disk full, I/O) have rolled back already
        db.execute("ROLLBACK")


def fetch_rows(db: sqlite3.Connection, sql: str, params: Sequence[object] = ()) -> list[tuple[Value, ...]]:
    """All rows.  A TEXT whose bytes are not UTF-8 comes as RawText; other texts as str, with any NUL in them."""
    return decoding(db, lambda: db.execute(sql, params).fetchall())


def fetch_within(
    db: sqlite3.Connection, sql: str, params: Sequence[object], max_bytes: int
) -> tuple[list[tuple[Any, ...]], bool]:
    """The first rows, as ``fetch_rows`` gives them, until they hold about ``max_bytes``; and whether that is all.

    A row that is there is returned, however large it is.
    """
    return decoding(db, lambda: _fetch_within(db.execute(sql, params), max_bytes))


def _fetch_within(cursor: sqlite3.Cursor, max_bytes: int) -> tuple[list[tuple[Any, ...]], bool]:
    """Rows come in small batches, whose encoded size tells how many more may follow, if they are no larger."""
    rows: list[tuple[Any, ...]] = []
    size, take = 0, 1
    while batch := cursor.fetchmany(take):
        rows += batch
        size += len(encode(batch))
        if size > max_bytes:
            cursor.close()
            return rows, False
        take = max(1, min(_BATCH_ROWS, (max_bytes - size) * len(rows) // size))
    return rows, True


def decoding(db: sqlite3.Connection, fetch: Callable[[], Fetched]) -> Fetched:
    """Decode texts in C; only where one cannot be decoded, once more and each by our own function."""
    try:
        return fetch()
    except sqlite3.OperationalError as error:
        if not str(error).startswith(_UNDECODABLE):
            raise
    usual = db.text_factory
    db.text_factory = _decode
    try:
        return fetch()
    finally:
        db.text_factory = usual


def _decode(raw: bytes) -> str | RawText:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return RawText(raw)


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """sqlite3's errors as BadInput, Retry or Stop about that file."""
    try:
        yield
    except sqlite3.Error as error:
        raise _translate(error, path) from error


def _primary_code(error: sqlite3.Error) -> int:
    """The result code without its extension; 0 where sqlite3 itself, not SQLite, is unhappy."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _not_writable(path: Path) -> BadInput:
    return BadInput(
        "the database cannot be written to",
        where=str(path),
        remedy="Give this user write access to the file and to its folder (for the journal)",
    )


def _translate(error: sqlite3.Error, path: Path) -> SwitchbackError:
    code, where = _primary_code(error), str(path)
    if code in _BUSY:
        what = "another connection has kept the database locked"
        return Retry(what, where=where, remedy="Find the transaction that is kept open (a shell, a backup, an import)")
    if code == sqlite3.SQLITE_NOTADB:
        what = "this is not a SQLite database, or it is encrypted"
        return BadInput(what, where=where, remedy="Give an unencrypted SQLite file")
    if code == sqlite3.SQLITE_READONLY:
        return _not_writable(path)
    if code in _DENIED:
        what = "SQLite cannot open the database"
        return BadInput(what, where=where, remedy="Give this user access to its folder and to its -wal and -shm files")
    if code == sqlite3.SQLITE_FULL:
        return Retry("the disk is full", where=where, remedy="Free some space")
    if code == sqlite3.SQLITE_CORRUPT:
        remedy = "Run `PRAGMA integrity_check` and restore or repair the file first"
        return Stop(f"the database is damaged: {error}", where=where, remedy=remedy)
    if code == sqlite3.SQLITE_IOERR:
        return Stop(f"reading or writing the database failed: {error}", where=where, remedy="Check the disk")
    return Stop(f"SQLite refused: {error}", where=where, remedy="Run `switchback check` on the source")


@dataclass(frozen=True, slots=True)
class FileIdentity:
    """Which file stands behind a path."""

    device: int
    inode: int

    @classmethod
    def of(cls, path: Path) -> FileIdentity:
        """The file that is there now; BadInput if there is none."""
        _check_file(path)
        found = path.stat()
        return cls(found.st_dev, found.st_ino)


def same_file(path: Path, identity: FileIdentity) -> bool:
    """Whether the path still leads to that file: an open connection would go on with the old one for ever."""
    try:
        found = path.stat()
    except OSError:
        return False
    return (found.st_dev, found.st_ino) == (identity.device, identity.inode)
