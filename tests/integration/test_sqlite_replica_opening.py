"""Opening a SQLite replica as the primary: everything in one transaction, once, and past the data."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import pytest

from capture.progress import Progress
from capture.sqlite.holding import SqliteHold
from capture.sqlite.source import SqliteSource
from replay import Captured
from replicas import Follower, copy_closed, note_shape
from shared.control.standing import Standing
from shared.errors import LeaseLost, Retry, SchemaChanged, Stop
from shared.groups import Change, Position
from shared.sqlite import fence
from shared.sqlite.connection import connect
from shared.sqlite.installation import check_installed
from shared.sqlite.replica_state import read_ledger
from shared.sqlite.state import read_state
from sink.sqlite.replica import SqliteReplica

DDL = """
CREATE TABLE person (id INTEGER PRIMARY KEY, name TEXT UNIQUE);
CREATE TABLE task (id INTEGER PRIMARY KEY AUTOINCREMENT, title TEXT);
CREATE TABLE "odd ""n"" ame" (id INTEGER PRIMARY KEY AUTOINCREMENT, v);
CREATE TABLE "autoincrement" (id INTEGER PRIMARY KEY, v);
CREATE TABLE pair (a, b, PRIMARY KEY (a, b)) WITHOUT ROWID;
INSERT INTO person VALUES (1, 'a');
INSERT INTO task VALUES (5, 't');
"""
GIVEN = {"person": 70, "task": 90, 'odd "n" ame': 0, "autoincrement": 7}


@pytest.fixture
def captured(capture: Callable[[str], Captured]) -> Captured:
    return capture(DDL)


@pytest.fixture
def follower(captured: Captured, tmp_path: Path) -> Iterator[Follower]:
    path = copy_closed(captured.path, tmp_path / "replica.db", captured.schema)
    with closing(Follower(captured.app, path, captured.schema)) as follower:
        yield follower


def ask(path: Path, sql: str) -> list[Any]:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        return db.execute(sql).fetchall()


def test_opened_the_file_is_written_to_and_captured_as_ever(follower: Follower) -> None:
    path, replica = follower.path, follower.replica
    follower.primary.execute("INSERT INTO person VALUES (2, 'b')")
    follower.follow()
    replica.prepare("next", 2, GIVEN)
    replica.open_side("next", 2, GIVEN)
    assert replica.standing() == Standing(2, "primary", "next")
    state = dict(ask(path, "SELECT key, value FROM _switchback_state"))
    assert (state["opened"], state["lease"]) == ("[2, 11, 111]", "2")
    with closing(connect(path)) as db:
        assert fence.closed_tables(db) == set()
        assert check_installed(db, follower.schema) == []
    seq = ask(path, "SELECT max(seq) FROM _switchback_log")
    ask(path, "INSERT INTO person VALUES (3, 'c')")
    assert ask(path, "SELECT count(*) FROM _switchback_log WHERE op = 'c'") != []
    assert ask(path, "SELECT max(seq) FROM _switchback_log") != seq


def test_what_is_prepared_is_not_there_for_anybody_until_it_is_opened(follower: Follower) -> None:
    other = apsw.Connection(str(follower.path))
    follower.replica.prepare("next", 2, GIVEN)
    assert other.execute("SELECT value FROM _switchback_state WHERE key = 'role'").fetchall() == [("replica",)]
    with pytest.raises(apsw.BusyError):
        other.execute("INSERT INTO person VALUES (3, 'c')")
    follower.replica.unprepare()
    with pytest.raises(apsw.ConstraintError, match="switchback"):
        other.execute("INSERT INTO person VALUES (3, 'c')")
    follower.replica.prepare("again", 2, GIVEN)
    follower.replica.close()  # as if the program died
    with pytest.raises(apsw.ConstraintError, match="switchback"):
        other.execute("INSERT INTO person VALUES (3, 'c')")
    other.close()


def test_what_was_prepared_and_lost_is_done_anew(follower: Follower) -> None:
    follower.replica.prepare("next", 2, GIVEN)
    follower.replica.unprepare()
    follower.replica.open_side("next", 2, GIVEN)
    assert follower.replica.standing() == Standing(2, "primary", "next")


def test_opening_twice_is_opening_once(follower: Follower) -> None:
    follower.replica.open_side("next", 2, GIVEN)
    ask(follower.path, "INSERT INTO task (title) VALUES ('written by the application')")
    follower.replica.open_side("next", 2, {"task": 5_000})
    assert ask(follower.path, "SELECT seq FROM sqlite_sequence WHERE name = 'task'") == [(91,)]
    with pytest.raises(LeaseLost):
        follower.replica.open_side("another", 2, GIVEN)
    with pytest.raises(LeaseLost):
        follower.replica.open_side("next", 4, GIVEN)


def test_another_attempt_does_not_open_what_was_prepared_for_the_first(follower: Follower) -> None:
    follower.replica.prepare("first", 2, GIVEN)
    follower.replica.open_side("second", 2, GIVEN)
    assert follower.replica.standing().attempt == "second"


@pytest.mark.parametrize(("given", "last"), [(90, 90), (3, 5), (0, 5)])
def test_autoincrement_goes_on_behind_whatever_was_given_out(follower: Follower, given: int, last: int) -> None:
    follower.replica.open_side("next", 2, {**GIVEN, "task": given})
    ask(follower.path, "INSERT INTO task (title) VALUES ('new')")
    assert ask(follower.path, "SELECT max(id) FROM task") == [(last + 1,)]
    assert ask(follower.path, "SELECT name, count(*) FROM sqlite_sequence GROUP BY name") == [("task", 1)]


def test_autoincrement_counts_rows_that_the_sink_wrote_and_deleted(follower: Follower) -> None:
    gone = (300, "gone")
    follower.write([Change("task", "c", 1, 0, gone)])
    follower.write([Change("task", "d", 2, 0, gone)])
    follower.replica.open_side("next", 2, {})
    ask(follower.path, "INSERT INTO task (title) VALUES ('new')")
    assert ask(follower.path, "SELECT max(id) FROM task") == [(301,)]


def test_it_is_not_opened_where_autoincrement_does_not_get_past_the_rows(follower: Follower) -> None:
    def lose(action: int, name: str | None, *_: object) -> int:
        lost = (action, name) == (apsw.SQLITE_INSERT, "sqlite_sequence")
        return apsw.SQLITE_IGNORE if lost else apsw.SQLITE_OK

    follower.replica._db.authorizer = lose
    with pytest.raises(Stop, match=r"\(table task\)"):
        follower.replica.open_side("next", 2, GIVEN)
    follower.replica._db.authorizer = None
    assert follower.replica.standing().role == "replica"
    assert ask(follower.path, "SELECT seq FROM sqlite_sequence WHERE name = 'task'") == [(5,)]


def test_a_reader_of_a_file_without_wal_puts_it_off(follower: Follower) -> None:
    follower.replica.close()
    follower.replica = SqliteReplica(follower.path, busy_seconds=0.05)
    follower.replica.open()
    reader = apsw.Connection(str(follower.path))
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM person").fetchall()
    follower.replica.prepare("next", 2, GIVEN)
    with pytest.raises(Retry, match="locked"):
        follower.replica.open_side("next", 2, GIVEN)
    assert follower.replica.standing().role == "replica"
    reader.close(force=True)
    follower.replica.open_side("next", 2, GIVEN)
    assert follower.replica.standing().role == "primary"


def test_nothing_is_opened_over_a_change_of_the_tables(follower: Follower) -> None:
    ask(follower.path, "ALTER TABLE person ADD COLUMN email")
    with pytest.raises(SchemaChanged, match="person"):
        follower.replica.prepare("next", 2, GIVEN)
    follower.replica.unprepare()
    assert follower.replica.standing().role == "replica"


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_closed_written_to_opened_and_closed_again(captured: Captured, mode: str) -> None:
    path, schema = captured.path, captured.schema
    captured.app.execute(f"PRAGMA journal_mode = {mode}").fetchall()
    for flip in range(1, 4):
        epoch, place = 2 * flip - 1, Position(epoch_lease(flip), 10 * flip, 100 * flip)
        close(path, schema_of(captured), f"close{flip}", epoch, place)
        with pytest.raises(sqlite3.IntegrityError, match="switchback"):
            captured.app.execute("DELETE FROM person")
        captured.app.close()  # two libraries must not share a file in one process
        captured.ours.close()
        with closing(SqliteReplica(path)) as replica:
            ledger, written_by = replica.open()
            assert (ledger.position, ledger.token, written_by) == (place, flip, schema)
            replica.open_side(f"open{flip}", epoch + 1, {"task": 1_000 * flip})
        captured.app = captured.model.db = sqlite3.connect(path, isolation_level=None)
        captured.ours = connect(path)
        captured.run(f"INSERT INTO person VALUES ({100 + flip}, 'p{flip}')", "INSERT INTO task (title) VALUES ('t')")
        assert captured.app.execute("SELECT max(id) FROM task").fetchone() == (1_000 * flip + 1,)
        captured.news()
        source = SqliteSource(captured.ours, path, schema, 100)
        assert source.take_lease() > place.lease
        assert source.high() == 2 * flip


def epoch_lease(flip: int) -> int:
    return 20 * flip


def schema_of(captured: Captured) -> SqliteHold:
    hold = SqliteHold(captured.path, "s")
    hold.schema = captured.schema
    return hold


def close(path: Path, hold: SqliteHold, attempt: str, epoch: int, place: Position) -> None:
    """As capture does it."""
    note_shape(path)
    assert hold.hold(1.0) == ""
    assert hold.fence(attempt, epoch, place, Progress(), 5.0) == ""
    with closing(connect(path)) as db:
        ledger = read_ledger(db)
        assert ledger is not None
        assert ledger.position == place
        assert read_state(db)["role"] == "replica"


def test_a_delete_that_only_the_remembered_rows_know_of_is_there_before_the_file_is_closed(
    capture: Callable[[str], Captured],
) -> None:
    captured = capture("CREATE TABLE t (id INTEGER PRIMARY KEY, u TEXT UNIQUE)")
    captured.run("CREATE TRIGGER app AFTER INSERT ON t WHEN NEW.id = 2 BEGIN SELECT RAISE(IGNORE); END")
    captured.run("INSERT INTO t VALUES (1, 'a')", "REPLACE INTO t VALUES (2, 'a')")
    hold = schema_of(captured)
    assert hold.hold(1.0) == ""
    assert captured.app.execute("SELECT op, c1 FROM _switchback_log").fetchall() == [("c", 1), ("d", 1)]
    hold.let_go()


def test_without_wal_a_reader_who_does_not_end_keeps_the_file_open_and_is_told_of(captured: Captured) -> None:
    captured.app.execute("PRAGMA journal_mode = delete").fetchall()
    note_shape(captured.path)
    hold = schema_of(captured)
    assert hold.hold(1.0) == ""
    with closing(sqlite3.connect(captured.path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM person").fetchone()
        assert "was being read" in hold.fence("a", 1, Position(1, 1, 1), Progress(), 0.1)
        hold.let_go()
    captured.run("INSERT INTO person VALUES (3, 'c')")
    assert hold.standing().role == "primary"
