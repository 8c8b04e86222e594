"""What is found before anybody waits."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pydantic import SecretStr

from operations.cutover.prechecks import Prechecks
from operations.cutover.sessions import lock_holder
from shared.control.fold import State
from shared.findings import Finding
from shared.log.embedded import EmbeddedLog
from shared.postgres.ledger import prepare, write_source_schema
from shared.presence import Notebook, Presence
from shared.settings import Settings
from shared.tables import Column, Schema, Table


def _found(path: Path, tmp_path: Path, dsn: str) -> list[Finding]:
    with closing(EmbeddedLog(tmp_path / "log.db")) as log:
        checks = Prechecks(Settings(source=path, target=SecretStr(dsn), stream="app"), log, State())
        return [found for found in checks.what_only_the_application_can_write() if isinstance(found, Finding)]


@pytest.mark.parametrize("goes_on", [True, False])
def test_a_daemon_that_is_just_connecting_again_is_given_the_time_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, goes_on: bool
) -> None:
    monkeypatch.setattr("operations.cutover.prechecks.LONGEST_SECONDS", 20.0 if goes_on else 0.0)
    settings = Settings(source=tmp_path / "app.db", stream="app", state_dir=tmp_path)
    with closing(EmbeddedLog(tmp_path / "log.db")) as log, Notebook(tmp_path, Presence.begin("sink", "app")) as sink:
        sink.note.trouble = "PostgreSQL cannot be reached"
        sink.write()
        if goes_on:
            threading.Timer(0.5, _go_on, (sink,)).start()
        found = [one.what for one in Prechecks(settings, log, State()).daemons() if isinstance(one, Finding)]
    assert found == ([] if goes_on else ["sink is waiting: PostgreSQL cannot be reached"])


def _go_on(daemon: Notebook) -> None:
    daemon.note.trouble = ""
    daemon.write()


def test_an_index_that_needs_the_applications_collation_is_named(tmp_path: Path, postgres_dsn: str) -> None:
    path = tmp_path / "app.db"
    with closing(sqlite3.connect(path)) as db:
        db.create_collation("by_number", lambda a, b: (a > b) - (a < b))
        db.executescript(
            "CREATE TABLE plain (id INTEGER PRIMARY KEY, name TEXT NOT NULL);"
            "CREATE TABLE person (id INTEGER PRIMARY KEY, name TEXT);"
            "CREATE INDEX person_name ON person (name COLLATE by_number);"
        )
    [finding] = _found(path, tmp_path, postgres_dsn)
    assert finding.where == "table person"
    assert "by_number" in finding.what


@pytest.fixture
def guarded(postgres_dsn: str) -> Iterator[psycopg.Connection[Any]]:
    """PostgreSQL as the sink left it after the copy of a table ``t``."""
    with psycopg.connect(postgres_dsn, autocommit=True) as db:
        prepare(db, "app")
        write_source_schema(db, "app", Schema((Table("t", (Column("id"),), ("id",)),)))
        db.execute("CREATE TABLE t (id bigint PRIMARY KEY)")
        yield db


def _other_ways_in(tmp_path: Path, dsn: str) -> list[str]:
    with closing(EmbeddedLog(tmp_path / "log.db")) as log:
        checks = Prechecks(Settings(target=SecretStr(dsn), stream="app"), log, State())
        return [str(found.what) for found in checks.other_ways_in() if isinstance(found, Finding)]


def test_a_table_that_was_attached_as_a_partition_or_given_children_refuses(
    tmp_path: Path, postgres_dsn: str, guarded: psycopg.Connection[Any]
) -> None:
    assert _other_ways_in(tmp_path, postgres_dsn) == []
    guarded.execute("CREATE TABLE k () INHERITS (t)")
    assert "has tables that inherit from it" in _other_ways_in(tmp_path, postgres_dsn)[0]
    guarded.execute("DROP TABLE k")
    guarded.execute("CREATE TABLE p (id bigint NOT NULL) PARTITION BY RANGE (id)")
    guarded.execute("ALTER TABLE p ATTACH PARTITION t FOR VALUES FROM (0) TO (9)")
    assert "is a partition of another one" in _other_ways_in(tmp_path, postgres_dsn)[0]


def test_a_table_that_was_made_unlogged_refuses(
    tmp_path: Path, postgres_dsn: str, guarded: psycopg.Connection[Any]
) -> None:
    guarded.execute("ALTER TABLE t SET UNLOGGED")
    assert "a crash of the server empties it" in _other_ways_in(tmp_path, postgres_dsn)[0]
    guarded.execute("ALTER TABLE t SET LOGGED")
    assert _other_ways_in(tmp_path, postgres_dsn) == []


def test_tables_of_all_kinds_that_need_nobody_are_passed(tmp_path: Path, postgres_dsn: str) -> None:
    path = tmp_path / "app.db"
    with closing(sqlite3.connect(path)) as db:
        db.executescript(
            'CREATE TABLE "odd name" (a, b, PRIMARY KEY (a, b)) WITHOUT ROWID;'
            "CREATE TABLE made (id INTEGER PRIMARY KEY AUTOINCREMENT, n INT CHECK (abs(n) < 9), m AS (n + 1) STORED);"
            "CREATE INDEX made_n ON made (lower(n) COLLATE NOCASE);"
            "CREATE VIRTUAL TABLE words USING fts5 (body);"
        )
    assert _found(path, tmp_path, postgres_dsn) == []


def test_who_holds_the_write_lock_is_named_and_not_who_checkpoints_meanwhile(tmp_path: Path) -> None:
    path = tmp_path / "app.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY)")
        with checkpointing(path):
            assert lock_holder(path) == ""
            db.execute("BEGIN IMMEDIATE")
            assert lock_holder(path).startswith(f": process {os.getpid()} (")


def test_who_holds_the_write_lock_is_named_without_wal_too(tmp_path: Path) -> None:
    path = tmp_path / "app.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY)")
        for begin in ("BEGIN IMMEDIATE", "BEGIN EXCLUSIVE"):
            db.execute(begin)
            assert lock_holder(path).startswith(f": process {os.getpid()} (")
            db.execute("ROLLBACK")
        assert lock_holder(path) == ""


def test_writers_that_take_turns_all_the_time_are_not_one_that_holds_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "app.db"
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY)")
    writes, ended = threading.Event(), threading.Event()

    def write() -> None:
        with closing(sqlite3.connect(path, timeout=30, isolation_level=None)) as db:
            while not ended.wait(0.003):
                db.execute("BEGIN IMMEDIATE")
                writes.set()
                time.sleep(0.06)
                writes.clear()
                db.execute("COMMIT")

    with closing(EmbeddedLog(tmp_path / "log.db")) as log:
        checks = Prechecks(Settings(source=path, stream="app"), log, State())
        writer = threading.Thread(target=write, daemon=True)
        writer.start()
        found = [one for _ in range(5) if writes.wait(30) for one in checks.writers()]
        ended.set()
        writer.join()
    assert not [one for one in found if isinstance(one, Finding)]


@contextmanager
def checkpointing(path: Path) -> Iterator[None]:
    """Another process holds the lock of those who write the WAL back, as SQLite does now and then."""
    shm = path.with_name(f"{path.name}-shm")
    words = [sys.executable, "-c", _CHECKPOINTS, str(shm)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline()
        yield
        process.communicate()


_CHECKPOINTS = """
import fcntl, sys
file = open(sys.argv[1], "r+b")
fcntl.lockf(file, fcntl.LOCK_EX, 1, 121)
print(flush=True)
sys.stdin.read()
"""
