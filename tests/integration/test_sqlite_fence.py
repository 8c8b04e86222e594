"""The fence of a SQLite file holds for whoever writes, however; readers go on."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from random_sql import LATE_TRIGGERS, ODD_ZOO, STRICT_ZOO, ZOO, random_statements
from replay import Captured, contents
from shared.sqlite import fence
from shared.sqlite.catalog import schema_version
from shared.sqlite.changelog import high
from shared.sqlite.connection import connect, writing
from shared.sqlite.installation import check_installed, install, overtaken, uninstall
from shared.sqlite.state import read_note, write_state

DDL = """
CREATE TABLE person (id INTEGER PRIMARY KEY, name TEXT UNIQUE, age INTEGER CHECK (age > 0));
CREATE TABLE task (id INTEGER PRIMARY KEY AUTOINCREMENT, title TEXT,
  person_id INTEGER REFERENCES person(id) ON DELETE CASCADE ON UPDATE CASCADE);
CREATE TABLE pair (a TEXT, b INTEGER, v, PRIMARY KEY (a, b)) WITHOUT ROWID;
CREATE TABLE note (body TEXT);
CREATE TABLE "odd ""n"" ame" (x PRIMARY KEY NOT NULL);
CREATE VIEW people AS SELECT * FROM person;
CREATE TRIGGER people_insert INSTEAD OF INSERT ON people BEGIN INSERT INTO person VALUES (NEW.id, NEW.name, 1); END;
CREATE TABLE loose_end (id INTEGER PRIMARY KEY, v TEXT);
CREATE TRIGGER loose_added AFTER INSERT ON loose_end BEGIN INSERT INTO note VALUES (NEW.v); END;
INSERT INTO person VALUES (1, 'a', 1), (2, 'b', 2);
INSERT INTO task (title, person_id) VALUES ('t', 1);
INSERT INTO pair VALUES ('p', 1, 'v');
INSERT INTO note VALUES ('n');
INSERT INTO "odd ""n"" ame" VALUES (1);
"""
FENCED = ("person", "task", "pair", "note", 'odd "n" ame')
WRITES = (
    "INSERT {o} INTO person VALUES (3, 'c', 3)",
    "INSERT {o} INTO person VALUES (1, 'c', 3)",
    "INSERT {o} INTO person VALUES (4, 'a', 3)",
    "INSERT {o} INTO person SELECT id + 10, name || 'x', 1 FROM person",
    "UPDATE {o} person SET age = age",
    "UPDATE {o} person SET id = 2 WHERE id = 1",
    "UPDATE {o} person SET name = 'b' WHERE id = 1",
    "INSERT {o} INTO pair VALUES ('p', 1, 'w')",
    "UPDATE {o} pair SET v = 2",
    'INSERT {o} INTO "odd ""n"" ame" VALUES (2)',
    "INSERT {o} INTO people (id, name) VALUES (9, 'i')",
    "INSERT {o} INTO loose_end (v) VALUES ('through a trigger')",
)
OTHERS = (
    "INSERT INTO person VALUES (1, 'c', 3) ON CONFLICT DO NOTHING",
    "INSERT INTO person VALUES (1, 'c', 3) ON CONFLICT (id) DO UPDATE SET age = 7",
    "REPLACE INTO task (id, title) VALUES (1, 'r')",
    "DELETE FROM person",
    "DELETE FROM person WHERE id = 1",
    "DELETE FROM pair",
    "DELETE FROM note",
    "INSERT INTO note DEFAULT VALUES",
    "UPDATE note SET body = 'other' WHERE rowid = 1",
    "UPDATE task SET title = 'u' RETURNING *",
)
REMEMBERED = "SELECT * FROM _switchback_pending"
CLAUSES = ("", "OR ABORT", "OR FAIL", "OR IGNORE", "OR REPLACE", "OR ROLLBACK")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "app.db"
    with closing(sqlite3.connect(path)) as db:
        db.executescript(DDL)
    return path


@pytest.fixture
def app(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path, isolation_level=None, timeout=5)) as db:
        yield db


def close(path: Path) -> None:
    with closing(connect(path)) as db, writing(db):
        fence.put_up(db, FENCED)


def refused(app: sqlite3.Connection, sql: str) -> None:
    with pytest.raises(sqlite3.IntegrityError, match=r"^switchback: "):
        app.execute(sql).fetchall()


@pytest.mark.parametrize("recursive", ["ON", "OFF"])
@pytest.mark.parametrize("foreign_keys", ["ON", "OFF"])
def test_every_kind_of_write_is_refused_and_leaves_no_trace(
    path: Path, app: sqlite3.Connection, foreign_keys: str, recursive: str
) -> None:
    app.execute(f"PRAGMA foreign_keys = {foreign_keys}")
    app.execute(f"PRAGMA recursive_triggers = {recursive}")
    close(path)
    before = list(app.iterdump())
    for sql in (*(write.format(o=clause) for write in WRITES for clause in CLAUSES), *OTHERS):
        refused(app, sql)
    assert list(app.iterdump()) == before


def test_a_refused_statement_leaves_the_transaction_as_it_was(path: Path, app: sqlite3.Connection) -> None:
    close(path)
    app.execute("DROP TRIGGER loose_added")
    app.execute("BEGIN")
    app.execute("INSERT INTO loose_end (v) VALUES ('kept')")
    refused(app, "INSERT INTO person VALUES (3, 'c', 3)")
    app.execute("COMMIT")
    assert app.execute("SELECT v FROM loose_end").fetchall() == [("kept",)]


def test_a_cascade_from_an_open_table_stops_at_a_closed_one(path: Path, app: sqlite3.Connection) -> None:
    app.execute("PRAGMA foreign_keys = ON")
    with closing(connect(path)) as db, writing(db):
        fence.put_up(db, ["task"])
    refused(app, "DELETE FROM person WHERE id = 1")
    refused(app, "UPDATE person SET id = 7 WHERE id = 1")
    assert app.execute("SELECT count(*) FROM person").fetchone() == (2,)


def test_statements_prepared_before_are_refused(path: Path, app: sqlite3.Connection) -> None:
    insert = "INSERT INTO note VALUES (?)"
    app.execute(insert, ("before",))
    close(path)
    with pytest.raises(sqlite3.IntegrityError, match="switchback"):
        app.execute(insert, ("after",))
    assert app.execute("SELECT count(*) FROM note").fetchone() == (2,)


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_a_writer_that_waited_for_the_hold_is_refused_and_not_let_in(path: Path, mode: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as setup:
        setup.execute(f"PRAGMA journal_mode = {mode}")
    holder = connect(path)
    holder.execute("BEGIN IMMEDIATE")
    fence.put_up(holder, FENCED)
    with closing(sqlite3.connect(path, isolation_level=None, timeout=0)) as waiting:
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            waiting.execute("INSERT INTO note VALUES ('x')")
        assert waiting.execute("SELECT count(*) FROM note").fetchone() == (1,)  # it may read meanwhile
        holder.execute("COMMIT")
        refused(waiting, "INSERT INTO note VALUES ('x')")
    holder.close()


def test_a_reader_with_an_older_view_goes_on_and_cannot_become_a_writer(path: Path) -> None:
    reader = sqlite3.connect(path, isolation_level=None, timeout=0)
    reader.execute("PRAGMA journal_mode = wal")
    reader.execute("BEGIN")
    assert reader.execute("SELECT count(*) FROM note").fetchone() == (1,)
    close(path)
    assert reader.execute("SELECT count(*) FROM note").fetchone() == (1,)
    with pytest.raises(sqlite3.OperationalError, match="locked"):  # SQLITE_BUSY_SNAPSHOT
        reader.execute("INSERT INTO note VALUES ('old view')")
    reader.execute("ROLLBACK")
    refused(reader, "INSERT INTO note VALUES ('new view')")
    reader.close()


def test_taken_away_everything_is_as_it_was(path: Path, app: sqlite3.Connection) -> None:
    before = app.execute("SELECT * FROM sqlite_master").fetchall()
    close(path)
    with closing(connect(path)) as db, writing(db):
        assert len(fence.remove(db)) == 3 * len(FENCED) + 2
    assert app.execute("SELECT * FROM sqlite_master").fetchall() == before
    app.execute("INSERT INTO person VALUES (3, 'c', 3)")


def test_closing_and_opening_leave_the_schema_as_it_is_so_that_nobody_reads_it_anew(
    path: Path, app: sqlite3.Connection
) -> None:
    with closing(connect(path)) as db:
        with writing(db):
            fence.make(db, FENCED)
        before = schema_version(db)
        close(path)
        assert fence.closed_tables(db) == set(FENCED)
        refused(app, "INSERT INTO person VALUES (3, 'c', 3)")
        with writing(db):
            fence.take_down(db)
        assert fence.closed_tables(db) == set()
        app.execute("INSERT INTO person VALUES (3, 'c', 3)")
        assert schema_version(db) == before


def test_made_again_it_changes_nothing_and_closes_nothing(path: Path, app: sqlite3.Connection) -> None:
    with closing(connect(path)) as db, writing(db):
        assert len(fence.make(db, FENCED)) == 3 * len(FENCED) + 2
        assert fence.make(db, reversed(FENCED)) == []
        assert not fence.is_up(db)
    app.execute("INSERT INTO person VALUES (3, 'c', 3)")


def test_a_trigger_of_its_that_says_something_else_is_made_anew(path: Path, app: sqlite3.Connection) -> None:
    close(path)
    app.execute('DROP TRIGGER "_switchback_fence_1_insert"')
    app.execute('CREATE TRIGGER "_switchback_fence_1_insert" BEFORE INSERT ON note BEGIN SELECT 1; END')
    with closing(connect(path)) as db, writing(db):
        assert fence.closed_tables(db) == set(FENCED) - {"note"}
        assert not fence.stands(db, FENCED)
        fence.put_up(db, FENCED)
        assert fence.closed_tables(db) == set(FENCED)


def test_a_fence_that_was_not_committed_was_never_there(path: Path, app: sqlite3.Connection) -> None:
    with closing(connect(path)) as db:
        db.execute("BEGIN IMMEDIATE")
        fence.put_up(db, FENCED)
    app.execute("INSERT INTO person VALUES (3, 'c', 3)")


def test_a_table_with_a_part_of_its_fence_does_not_count_as_closed(path: Path) -> None:
    close(path)
    with closing(connect(path)) as db:
        db.execute('DROP TRIGGER "_switchback_fence_5_update"')
        assert fence.closed_tables(db) == set(FENCED) - {"task"}
        with writing(db):
            fence.put_up(db, FENCED)
        assert fence.closed_tables(db) == set(FENCED)


@pytest.mark.parametrize("event", ["INSERT", "UPDATE", "DELETE"])
def test_a_younger_trigger_that_ignores_what_it_sees_lets_nobody_pass_without_a_word(
    path: Path, app: sqlite3.Connection, event: str
) -> None:
    with closing(connect(path)) as db, writing(db):
        fence.make(db, FENCED)
    app.execute(f"CREATE TRIGGER late BEFORE {event} ON person BEGIN SELECT RAISE(IGNORE); END")
    close(path)
    for sql in ("INSERT INTO person VALUES (3, 'c', 3)", "UPDATE person SET age = 7", "DELETE FROM person"):
        refused(app, sql)


def test_a_younger_trigger_has_only_its_own_tables_fence_made_anew(path: Path, app: sqlite3.Connection) -> None:
    with closing(connect(path)) as db, writing(db):
        fence.make(db, FENCED)
    app.execute("CREATE TRIGGER late UPDATE ON PERSON BEGIN SELECT 1; END")
    app.execute("CREATE TRIGGER after_all AFTER UPDATE ON note BEGIN SELECT 1; END")
    with closing(connect(path)) as db, writing(db):
        assert len(fence.make(db, FENCED)) == 3
        assert fence.stands(db, FENCED)


def test_a_script_that_empties_all_tables_does_not_open_them(path: Path, app: sqlite3.Connection) -> None:
    close(path)
    refused(app, f"DELETE FROM {fence.TABLE}")
    refused(app, "INSERT INTO person VALUES (3, 'c', 3)")


@pytest.mark.parametrize("seed", range(8))
def test_no_random_statement_gets_through(capture: Callable[[str], Captured], seed: int) -> None:
    captured = capture(ZOO + STRICT_ZOO + ODD_ZOO + LATE_TRIGGERS)
    app, schema = captured.app, captured.schema
    statements = random_statements(seed, 400, odd=True)
    for sql in (*statements[:100], "ROLLBACK"):
        attempt(app, sql)
    with writing(captured.ours):
        fence.put_up(captured.ours, schema.by_name)
    before, seq, remembered = contents(app, schema), high(app), app.execute(REMEMBERED).fetchall()
    for sql in (*statements[100:], "ROLLBACK"):
        attempt(app, sql)
    assert contents(app, schema) == before
    assert high(app) == seq
    assert app.execute(REMEMBERED).fetchall() == remembered


def attempt(app: sqlite3.Connection, sql: str) -> None:
    try:
        app.execute(sql).fetchall()
    except sqlite3.Error:
        return


def test_capture_makes_the_fence_leaves_it_closed_and_uninstall_removes_it(capture: Callable[[str], Captured]) -> None:
    captured = capture(DDL)
    db, schema = captured.ours, captured.schema
    assert fence.stands(db, schema.by_name)
    with writing(db):
        fence.put_up(db, schema.by_name)
    assert check_installed(db, schema) == []
    assert overtaken(db, schema) == []
    again = install(db, schema, "s")
    assert (again.created, again.dropped) == ((), ())
    assert fence.closed_tables(db) == set(schema.by_name)
    captured.app.execute("CREATE TRIGGER late AFTER INSERT ON note BEGIN SELECT 1; END")
    assert overtaken(db, schema) == ["note"]
    install(db, schema, "s")
    assert fence.closed_tables(db) == set(schema.by_name)
    removed = uninstall(db)
    assert sum(name.startswith(fence.TABLE) for name in removed) == 3 * len(schema.tables) + 2
    assert "_switchback" not in "".join(captured.app.iterdump())


def test_the_file_notes_that_making_the_fence_has_moved_the_schema_version(capture: Callable[[str], Captured]) -> None:
    captured = capture(DDL)
    db = captured.ours
    with writing(db):
        fence.remove(db)
        before = str(schema_version(db))
        write_state(db, schema_version=before)
        fence.make(db, captured.schema.by_name)
        assert read_note(db, "schema_version") == str(schema_version(db)) != before


def test_a_foreign_change_before_the_fence_is_not_hidden_by_it(capture: Callable[[str], Captured]) -> None:
    captured = capture(DDL)
    db = captured.ours
    with writing(db):
        write_state(db, schema_version=str(schema_version(db)))
    captured.app.execute("VACUUM")
    with writing(db):
        fence.remove(db)
        fence.put_up(db, captured.schema.by_name)
        assert read_note(db, "schema_version") != str(schema_version(db))
