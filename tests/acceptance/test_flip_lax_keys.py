"""Keys that PostgreSQL tells apart and SQLite does not, on the way back: the sink waits, and goes on once mended."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import psycopg

from command import QuickCommand
from daemons import wait_until
from fix_migration import STOPPED, Begin


def test_two_rows_that_sqlite_would_take_for_one_wait_until_one_of_them_is_another(
    begin: Begin, postgres_dsn: str, tmp_path: Path
) -> None:
    path = tmp_path / "names.db"
    with closing(sqlite3.connect(path)) as app:
        app.executescript(
            "PRAGMA journal_mode = WAL; CREATE TABLE t (k TEXT COLLATE RTRIM PRIMARY KEY, v TEXT);"
            "INSERT INTO t VALUES ('zoe', 'there');"
        )
    migration = begin(postgres_dsn, source=path)
    command = QuickCommand(path.parent, **migration.settings)
    migration.start()
    migration.wait_in_step()
    said = command("cutover", "--unverified")
    assert said.code == 0, said.out + said.errors
    with psycopg.connect(postgres_dsn, autocommit=True) as application:
        application.execute("INSERT INTO t VALUES ('anna', 'first')")
        wait_until("the first is there", lambda: rows(path) == [("anna", "first"), ("zoe", "there")])
        application.execute("INSERT INTO t VALUES ('anna  ', 'second')")
        assert migration.sink.wait() == STOPPED
        assert "one and the same to SQLite" in command("status").out
        assert command("rollback", "--unverified").code != 0
        assert rows(path) == [("anna", "first"), ("zoe", "there")]
        for number in range(20):
            application.execute("UPDATE t SET v = %s WHERE k = 'zoe'", (str(number),))
        application.execute("UPDATE t SET k = 'anne' WHERE k = 'anna  '")
        migration.sink.start(batch_changes="3")
        mended = [("anna", "first"), ("anne", "second"), ("zoe", "19")]
        wait_until("all three are there", lambda: rows(path) == mended)
    said = command("rollback", "--unverified")
    assert said.code == 0, said.out + said.errors
    assert rows(path) == mended


def rows(path: Path) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(path)) as db:
        return db.execute("SELECT * FROM t ORDER BY k").fetchall()
