"""The hold of SQLite's writers against somebody who has the write lock and does not let it go."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from capture.sqlite.holding import SqliteHold


def test_it_is_given_up_when_its_time_is_over_and_says_what_was_in_its_way(sqlite_hold: SqliteHold) -> None:
    with closing(_connect(sqlite_hold)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert sqlite_hold.hold(0.2) == f"another program has written to {sqlite_hold._path} for 0.2 s without a commit"


def test_given_up_it_is_in_nobodys_way(sqlite_hold: SqliteHold) -> None:
    with closing(_connect(sqlite_hold)) as other, closing(_connect(sqlite_hold)) as next_one:
        other.execute("BEGIN IMMEDIATE")
        other.execute("INSERT INTO t VALUES (1)")
        assert sqlite_hold.hold(0.0)
        other.execute("COMMIT")
        next_one.execute("INSERT INTO t VALUES (2)")
    assert sqlite_hold.hold(0.0) == ""


def _connect(sqlite_hold: SqliteHold) -> sqlite3.Connection:
    """Of a writer that does not wait at all."""
    return sqlite3.connect(sqlite_hold._path, timeout=0, isolation_level=None)
