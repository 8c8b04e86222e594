"""A SQLite file as the replica: exactly what the log says is in it, and nothing happens by itself."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw
import pytest

from replay import Captured
from replicas import Follower, copy_closed, note_shape
from shared.errors import BadInput, Hold, LeaseLost, Retry, SchemaChanged, SourceRestored, Stop
from shared.groups import Change, RawText, Rows
from shared.sqlite import fence
from shared.sqlite.connection import connect, fetch_rows
from sink.batch import collapse
from sink.sqlite.replica import SqliteReplica

DDL = """
CREATE TABLE person (id INTEGER PRIMARY KEY, name TEXT UNIQUE, age INTEGER CHECK (age > 0));
CREATE TABLE task (id INTEGER PRIMARY KEY AUTOINCREMENT, title TEXT,
  person_id INTEGER REFERENCES person(id) ON DELETE CASCADE);
CREATE TABLE tag (name TEXT NOT NULL PRIMARY KEY COLLATE NOCASE, n INTEGER);
CREATE TABLE anything (k NOT NULL PRIMARY KEY, v);
CREATE TABLE pair (a TEXT, b INTEGER, v, PRIMARY KEY (b, a)) WITHOUT ROWID;
CREATE TABLE "odd? ""n"" ame" ("what?" TEXT, "v:1" BLOB);
CREATE TABLE computed (id INTEGER PRIMARY KEY, w TEXT, big TEXT AS (upper(w)), len INTEGER AS (length(w)) STORED);
CREATE TABLE vanishing (id INTEGER PRIMARY KEY, u TEXT UNIQUE ON CONFLICT REPLACE);
CREATE TABLE audit (what TEXT);
CREATE TRIGGER person_audit AFTER INSERT ON person BEGIN INSERT INTO audit VALUES (NEW.name); END;
INSERT INTO person VALUES (1, 'a', 10), (2, 'b', 20), (3, 'c', 30);
INSERT INTO task (title, person_id) VALUES ('t', 1), ('u', 2);
"""


@dataclass
class Pair:
    """The primary, and the replica that follows it."""

    captured: Captured
    follower: Follower

    @property
    def replica(self) -> SqliteReplica:
        return self.follower.replica

    @property
    def path(self) -> Path:
        return self.follower.path

    def run(self, *statements: str) -> None:
        """On the primary, then everything to the replica."""
        self.captured.run(*statements)
        self.follower.follow()
        assert self.follower.differences() == []

    def write(self, *changes: tuple[Any, ...]) -> None:
        """Changes as (table, op, values...)."""
        self.follower.write([Change(name, op, 1, 0, values) for name, op, *values in changes])

    def read(self, sql: str) -> list[tuple[Any, ...]]:
        with closing(connect(self.path, readonly=True)) as db:
            return fetch_rows(db, sql)


@pytest.fixture
def pair(capture: Callable[[str], Captured], tmp_path: Path) -> Iterator[Pair]:
    captured = capture(DDL)
    path = copy_closed(captured.path, tmp_path / "replica.db", captured.schema)
    follower = Follower(captured.app, path, captured.schema)
    yield Pair(captured, follower)
    follower.close()


def test_triggers_cascades_capture_and_fence_do_nothing_to_what_the_sink_writes(pair: Pair) -> None:
    logged = pair.read("SELECT count(*) FROM _switchback_log")
    pair.captured.run("PRAGMA foreign_keys = ON")
    pair.run("INSERT INTO person VALUES (4, 'd', 40)", "DELETE FROM person WHERE id = 1")
    assert pair.read("SELECT * FROM audit") == [("a",), ("b",), ("c",), ("d",)]
    pair.write(("person", "d", 2, "b", 20))
    assert pair.read("SELECT person_id FROM task") == [(2,)]
    assert pair.read("SELECT count(*) FROM _switchback_log") == logged


def test_checks_are_the_primarys_business(pair: Pair) -> None:
    pair.write(("person", "c", 9, "i", -1))
    assert pair.read("SELECT age FROM person WHERE id = 9") == [(-1,)]


def test_unique_values_may_be_swapped(pair: Pair) -> None:
    pair.run(
        "UPDATE person SET name = 'x' WHERE id = 1",
        "UPDATE person SET name = 'a' WHERE id = 2",
        "UPDATE person SET name = 'b' WHERE id = 1",
    )
    assert pair.replica.fallbacks == {"batch": 1}


def test_a_row_in_the_way_is_never_replaced_in_silence(pair: Pair) -> None:
    pair.write(("vanishing", "c", 1, "u"))
    with pytest.raises(Hold, match=r"UNIQUE constraint failed: vanishing\.u .*table vanishing, key 2"):
        pair.write(("vanishing", "c", 2, "u"))
    assert pair.read("SELECT * FROM vanishing") == [(1, "u")]


@pytest.mark.parametrize("other", ["'Red'", "'RED'"])
def test_a_key_takes_the_spelling_of_the_primary(pair: Pair, other: str) -> None:
    pair.run("INSERT INTO tag VALUES ('red', 1)")
    pair.run(f"UPDATE tag SET name = {other}")
    assert pair.read("SELECT name FROM tag") == [(other.strip("'"),)]


def test_storage_classes_arrive_as_they_are(pair: Pair) -> None:
    values = ("1", "1.0", "'1'", "x'31'", "-0.0", "9223372036854775807", "-9223372036854775808", "1e308", "9e999", "''")
    odd = ("CAST(x'ff41' AS TEXT)", "'a' || char(0) || 'b'", "x'00ff'", "'ö😀'")
    for number, value in enumerate((*values, *odd)):
        pair.run(f"INSERT INTO anything VALUES ({number}, {value}), ({value}, {number + 100}) ON CONFLICT DO NOTHING")
    pair.run("UPDATE anything SET k = 1.0, v = 1 WHERE k = 1")
    pair.run("DELETE FROM anything WHERE k = CAST(x'ff41' AS TEXT)", "DELETE FROM anything WHERE typeof(k) = 'blob'")


def test_texts_that_are_not_utf_8_stand_in_keys_and_in_odd_tables(pair: Pair) -> None:
    raw, other = RawText(b"\xff?"), RawText(b"\xfe")
    pair.write(
        ("pair", "c", raw, 1, other), ("pair", "c", "plain", 1, raw), ('odd? "n" ame', "c", 1, raw, b"x"),
        ('odd? "n" ame', "c", 2, "plain", other),
    )  # fmt: skip
    assert pair.read("SELECT * FROM pair ORDER BY v") == [(raw, 1, other), ("plain", 1, raw)]
    assert pair.read('SELECT * FROM "odd? ""n"" ame"') == [(raw, b"x"), ("plain", other)]
    pair.write(("pair", "d", raw, 1, other))
    assert pair.read("SELECT count(*) FROM pair") == [(1,)]


def test_rowids_of_tables_without_a_key_are_kept(pair: Pair) -> None:
    pair.run('INSERT INTO "odd? ""n"" ame" (rowid, "what?") VALUES (7, 1), (-3, 2)')
    pair.run('UPDATE "odd? ""n"" ame" SET rowid = 9 WHERE rowid = 7')
    assert pair.read('SELECT rowid FROM "odd? ""n"" ame" ORDER BY rowid') == [(-3,), (9,)]


def test_generated_columns_are_computed(pair: Pair) -> None:
    pair.run("INSERT INTO computed (id, w) VALUES (1, 'abc')", "UPDATE computed SET w = 'abcd'")
    assert pair.read("SELECT * FROM computed") == [(1, "abcd", "ABCD", 4)]


def test_the_ledger_goes_with_the_rows_or_not_at_all(pair: Pair) -> None:
    before, _ = Follower(pair.captured.app, pair.path, pair.captured.schema).replica.open()
    replica = SqliteReplica(pair.path)
    pair.follower.replica.close()
    pair.follower.replica = replica
    ledger, _ = replica.open()
    assert ledger.token > before.token
    replica.begin()
    replica.write_batch(collapse(pair.captured.schema, [Change("person", "d", 1, 0, (1, "a", 10))]))
    pair.follower.advance(5)
    replica.rollback()
    assert replica.open()[0].position == ledger.position
    pair.follower.write([Change("person", "d", 1, 0, (1, "a", 10))])
    after, _ = replica.open()
    assert (after.number, after.seq, after.incarnation) == (pair.follower.number, 1, "postgres")
    assert after.copied


def test_a_sink_that_was_deposed_writes_nothing_more(pair: Pair) -> None:
    with closing(SqliteReplica(pair.path)) as other:
        other.open()
    with pytest.raises(LeaseLost, match="another sink"):
        pair.write(("person", "d", 1, "a", 10))
    assert pair.read("SELECT count(*) FROM person") == [(3,)]
    with pytest.raises(LeaseLost, match="another sink"):
        pair.replica.prepare("next", 2, {})


def test_a_copy_is_refused(pair: Pair) -> None:
    for refused in (
        lambda: pair.replica.apply_schema(pair.captured.schema),
        lambda: pair.replica.copy_rows(Rows("person", [])),
        lambda: pair.replica.end_chunk("person", 0, done=True),
        pair.replica.finish,
    ):
        with pytest.raises(Stop, match="where everything came from"):
            refused()


def test_a_file_that_is_the_primary_is_no_replica(capture: Callable[[str], Captured]) -> None:
    captured = capture(DDL)
    with closing(SqliteReplica(captured.path)) as replica:
        assert (replica.standing().role, replica.standing().epoch) == ("primary", 0)
        with pytest.raises(SourceRestored, match="does not say that it is a replica"):
            replica.open()


def test_there_must_be_a_file(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no such file"):
        SqliteReplica(tmp_path / "none.db")
    (tmp_path / "text.db").write_text("this is no database at all, but it is long enough to be read as one" * 20)
    with pytest.raises(BadInput, match="cannot be opened"):
        SqliteReplica(tmp_path / "text.db")


@pytest.mark.parametrize(
    ("ddl", "named"),
    [
        ("ALTER TABLE person ADD COLUMN email TEXT", "table person is another"),
        ("DROP TABLE task", "table task is gone"),
        ("CREATE TABLE fresh (id INTEGER PRIMARY KEY)", "table fresh is new"),
        ("CREATE INDEX ages ON person (age)", "table person is another"),
        ('DROP TRIGGER "_switchback_fence_1_update"', "the fence of a table is gone"),
        ('DROP TABLE "_switchback_fence"', "somebody has opened the SQLite file"),
        ("VACUUM", "vacuumed"),
    ],
)
def test_what_passes_the_fence_is_found_at_once_and_after_a_restart(pair: Pair, ddl: str, named: str) -> None:
    with closing(sqlite3.connect(pair.path, isolation_level=None)) as app:
        app.execute(ddl)
    with pytest.raises(SchemaChanged, match=named):
        pair.replica.begin()
    with closing(SqliteReplica(pair.path)) as restarted, pytest.raises(SchemaChanged, match=named):
        restarted.open()


@pytest.mark.parametrize("how", ["copied", "gone"])
def test_a_file_that_was_replaced_is_noticed_and_the_new_one_followed(pair: Pair, tmp_path: Path, how: str) -> None:
    shutil.copyfile(pair.path, tmp_path / "new.db")
    pair.run("UPDATE person SET age = 11 WHERE id = 1")
    pair.path.unlink()
    if how == "copied":
        (tmp_path / "new.db").rename(pair.path)
    pair.captured.run("UPDATE person SET age = 12 WHERE id = 2")
    with pytest.raises(SourceRestored, match="replaced by another one"):
        pair.follower.follow()
    with pytest.raises(SourceRestored, match="replaced by another one"):
        pair.replica.prepare("next", 2, {})
    if how == "copied":
        pair.replica.close()
        pair.follower.replica = SqliteReplica(pair.path)
        ledger, _ = pair.follower.replica.open()
        pair.follower.seq, pair.follower.number = ledger.seq, ledger.number
        pair.follower.follow()
        assert pair.follower.differences() == []


def test_a_file_that_is_replaced_before_the_opening_commits_is_not_opened(pair: Pair, tmp_path: Path) -> None:
    shutil.copyfile(pair.path, tmp_path / "new.db")
    pair.replica.prepare("next", 2, {})
    (tmp_path / "new.db").rename(pair.path)
    with pytest.raises(SourceRestored, match="replaced by another one"):
        pair.replica.open_side("next", 2, {})
    assert pair.read("SELECT value FROM _switchback_state WHERE key = 'role'") == [("replica",)]


def test_other_ddl_is_none_of_our_business(pair: Pair, capture: Callable[[str], Captured], tmp_path: Path) -> None:
    captured = capture("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
    path = copy_closed(captured.path, tmp_path / "keyed.db", captured.schema)
    with closing(Follower(captured.app, path, captured.schema)) as follower:
        with closing(sqlite3.connect(path, isolation_level=None)) as app:
            app.execute("CREATE VIEW v AS SELECT 1")
            app.execute("VACUUM")
        captured.run("INSERT INTO t VALUES (1, 2)")
        follower.follow()
        assert follower.differences() == []


def test_an_index_that_only_the_application_can_compute_is_named_at_the_start(
    capture: Callable[[str], Captured], tmp_path: Path
) -> None:
    captured = capture("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)")
    path = copy_closed(captured.path, tmp_path / "replica.db", captured.schema)
    with closing(sqlite3.connect(path, isolation_level=None)) as app:
        app.create_function("mine", 1, lambda v: v, deterministic=True)
        app.execute("CREATE INDEX own ON t (mine(v))")
    note_shape(path)  # as if the index had been there from the beginning
    with closing(SqliteReplica(path)) as replica, pytest.raises(Stop, match=r"function: mine.*table t"):
        replica.open()


class Elsewhere:
    """The application, through the same library as the sink: two of them must not share a file in one process."""

    def __init__(self, path: Path, mode: str) -> None:
        self.db = apsw.Connection(str(path))
        self.db.execute(f"PRAGMA journal_mode = {mode}").fetchall()


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_readers_read_while_the_sink_writes(pair: Pair, mode: str) -> None:
    with closing(sqlite3.connect(pair.path)) as db:
        db.execute(f"PRAGMA journal_mode = {mode}").fetchall()
    pair.replica.close()
    reader = Elsewhere(pair.path, mode).db
    replica = pair.follower.replica = SqliteReplica(pair.path)
    replica.open()
    replica.begin()
    many = [Change("anything", "c", 1, 0, (number, "x" * 20_000)) for number in range(4_000)]
    replica.write_batch(collapse(pair.captured.schema, many))  # 80 MB, more than any cache
    assert reader.execute("SELECT count(*) FROM anything").fetchall() == [(0,)]
    pair.follower.advance()
    replica.commit()
    assert reader.execute("SELECT count(*) FROM anything").fetchall() == [(4_000,)]
    reader.close()


def test_without_wal_a_long_reader_puts_the_commit_off_and_new_readers_come_in(pair: Pair) -> None:
    pair.replica.close()
    replica = pair.follower.replica = SqliteReplica(pair.path, busy_seconds=0.05)
    replica.open()
    long, other = Elsewhere(pair.path, "delete").db, Elsewhere(pair.path, "delete").db
    long.execute("BEGIN")
    long.execute("SELECT * FROM person").fetchall()
    with pytest.raises(Retry, match="locked"):
        pair.write(("person", "d", 1, "a", 10))
    assert other.execute("SELECT count(*) FROM person").fetchall() == [(3,)]
    long.execute("ROLLBACK")
    pair.write(("person", "d", 1, "a", 10))
    assert other.execute("SELECT count(*) FROM person").fetchall() == [(2,)]
    long.close()
    other.close()


def test_somebody_else_with_the_write_lock_is_waited_for(pair: Pair) -> None:
    pair.replica.close()
    replica = pair.follower.replica = SqliteReplica(pair.path, busy_seconds=0.05)
    replica.open()
    other = Elsewhere(pair.path, "delete").db
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Retry, match="locked"):
        pair.write(("person", "d", 1, "a", 10))
    other.close(force=True)
    pair.write(("person", "d", 1, "a", 10))


def test_the_fence_stands_for_others_while_the_sink_writes(pair: Pair) -> None:
    pair.run("INSERT INTO person VALUES (4, 'd', 40)")
    with closing(sqlite3.connect(pair.path, isolation_level=None)) as app:
        with pytest.raises(sqlite3.IntegrityError, match="switchback"):
            app.execute("DELETE FROM person")
        assert fence.closed_tables(app) == set(pair.captured.schema.by_name)


def in_wal(pair: Pair) -> Path:
    """The replica goes on in WAL mode; returns the -wal file."""
    pair.follower.close()
    with closing(sqlite3.connect(pair.path)) as db:
        db.execute("PRAGMA journal_mode = WAL")
    pair.follower.replica = SqliteReplica(pair.path)
    pair.follower.replica.open()
    return pair.path.with_name(pair.path.name + "-wal")


def write_pages(pair: Pair, number: int) -> None:
    """One commit of ten pages."""
    pair.write(*[("anything", "c", number * 100 + row, "x" * 1_500) for row in range(20)])


def pages_of(wal: Path) -> int:
    return wal.stat().st_size // 4_120


def test_the_wal_begins_anew_however_fast_the_commits_come(pair: Pair) -> None:
    wal, longest = in_wal(pair), 0
    for number in range(1, 2_001):
        write_pages(pair, number)
        longest = max(longest, pages_of(wal))
    assert longest < 6_000


def test_a_reader_that_stays_lets_the_wal_grow_and_the_sink_goes_on(pair: Pair) -> None:
    wal, number = in_wal(pair), 0
    reader = apsw.Connection(str(pair.path), flags=apsw.SQLITE_OPEN_READONLY)
    reader.execute("BEGIN; SELECT count(*) FROM anything").fetchall()
    while pages_of(wal) < 10_000:
        number += 1
        write_pages(pair, number)
    reader.close()
    grown = pages_of(wal)
    for more in range(1, 1_001):
        write_pages(pair, number + more)
    assert pages_of(wal) < grown + 6_000
