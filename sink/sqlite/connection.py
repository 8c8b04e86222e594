"""A connection to the application's file on which nothing happens by itself.

The application's triggers, foreign keys and checks have done their work on the primary and their effects
are in the log; neither they nor capture nor the fence may act on what the sink writes.  Only apsw can switch
triggers off for one connection.  It brings a SQLite library of its own, and two of them must not have the same
file open in one process (closing one drops the other's locks): in the sink nothing else opens it.
"""

from __future__ import annotations

from pathlib import Path

import apsw

from shared.errors import BadInput
from sink.sqlite.errors import translated

_SETTINGS = (
    "PRAGMA foreign_keys = OFF",
    "PRAGMA ignore_check_constraints = ON",  # a CHECK may call what only the application registers
    "PRAGMA synchronous = FULL",  # what the ledger says was applied is on the disk
    "PRAGMA cache_size = -65536",
    "PRAGMA wal_autocheckpoint = 0",  # the replica chooses when: never where writers wait
)
_NO_SPILL = "PRAGMA cache_spill = OFF"  # without WAL, writing early would shut readers out until the commit
_ALLOWED = (apsw.SQLITE_DBCONFIG_DQS_DDL, apsw.SQLITE_DBCONFIG_DQS_DML)  # "word" in old schemas, for 'word'


def connect(path: Path, busy_seconds: float) -> apsw.Connection:
    """Open an existing file; BadInput or Retry where that cannot be."""
    if not path.is_file():
        raise BadInput("there is no such file", where=str(path), remedy="Give the database's path")
    with translated(path):
        db = apsw.Connection(str(path.absolute()), flags=apsw.SQLITE_OPEN_READWRITE)
        try:
            _prepare(db, busy_seconds)
        except apsw.Error:
            db.close(force=True)
            raise
    return db


def _prepare(db: apsw.Connection, busy_seconds: float) -> None:
    db.set_busy_timeout(int(busy_seconds * 1000))
    db.config(apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, 0)
    for option in _ALLOWED:
        db.config(option, 1)
    for sql in _SETTINGS:
        db.execute(sql).fetchall()
    if db.execute("PRAGMA main.journal_mode").fetchall() != [("wal",)]:
        db.execute(_NO_SPILL).fetchall()
