"""The embedded log's file: made, opened, and its errors sorted by what the caller should do."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from shared.errors import BadInput, Retry, Stop, SwitchbackError
from shared.versions import check_version

_SCHEMA = """
CREATE TABLE IF NOT EXISTS spine (id INTEGER PRIMARY KEY AUTOINCREMENT, headers BLOB NOT NULL, value BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS control (id INTEGER PRIMARY KEY AUTOINCREMENT, headers BLOB NOT NULL, value BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS report (replica TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID;
"""
_LOOK = "SELECT application_id, (SELECT count(*) FROM sqlite_master) FROM pragma_application_id"
_APPLICATION_ID = 0x53574C47  # "SWLG": this file is a log of ours
_FORMAT = 1
_BUSY_SECONDS = 10.0
_INCREMENTAL = 2

_WRITABLE = "Name a file in a folder that can be written to"
_PASSES = "A daemon goes on by itself, another command has to be run again, once the cause is gone"
_UNUSABLE = {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH}


def connect(path: Path) -> sqlite3.Connection:
    """A connection whose every commit is on the disk when it returns."""
    with translated(path):
        db = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        db.execute("PRAGMA synchronous=FULL")
    return db


def has_content(path: Path) -> bool:
    """Whether there is a file with something in it; one that cannot be looked at is told of when it is opened."""
    try:
        return path.stat().st_size > 0
    except FileNotFoundError:
        return False
    except OSError:
        return True


def prepare(path: Path) -> None:
    """Create the file, or see that it is one of ours and can be written to."""
    with closing(connect(path)) as db, translated(path):
        if not _is_ours(db, path):
            _create(db, path)
        version = db.execute("PRAGMA user_version").fetchone()[0]  # 0: before it was written
        check_version("the log's file is", version, _FORMAT, str(path))
        db.execute("BEGIN IMMEDIATE")
        db.execute("ROLLBACK")


def _is_ours(db: sqlite3.Connection, path: Path) -> bool:
    """True for a log, False for a file that is still empty; read at one instant: two programs may be creating it."""
    mark, objects = db.execute(_LOOK).fetchone()
    if mark != _APPLICATION_ID and objects:
        raise BadInput("the log's file is some other database", where=str(path), remedy="Name another file")
    return bool(mark == _APPLICATION_ID)


def _create(db: sqlite3.Connection, path: Path) -> None:
    db.execute(f"PRAGMA auto_vacuum={_INCREMENTAL}")
    _switch_to_wal(db)
    db.execute("BEGIN IMMEDIATE")
    if not _is_ours(db, path):
        for statement in _SCHEMA.strip().splitlines():
            db.execute(statement)
        db.execute(f"PRAGMA application_id={_APPLICATION_ID}")
        db.execute(f"PRAGMA user_version={_FORMAT}")
    db.execute("COMMIT")


def _switch_to_wal(db: sqlite3.Connection) -> None:
    """SQLite does not wait for a lock here, and another program may be at the same point."""
    deadline = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            db.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """SQLite's errors about the log's file: a lock or a full disk passes, a wrong or damaged file does not."""
    try:
        yield
    except sqlite3.Error as error:
        raise _ours(error, str(path)) from error


def _ours(error: sqlite3.Error, where: str) -> SwitchbackError:
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if code in _UNUSABLE:
        return BadInput(f"the log's file cannot be opened for writing: {error}", where=where, remedy=_WRITABLE)
    if code == sqlite3.SQLITE_NOTADB:
        return BadInput(f"the log's file is no log: {error}", where=where, remedy="Name another file")
    if code == sqlite3.SQLITE_CORRUPT:
        return Stop(f"the log's file is damaged: {error}", where=where, remedy="Start a new stream and copy again")
    return Retry(f"the log's file: {error}", where=where, remedy=_PASSES)
