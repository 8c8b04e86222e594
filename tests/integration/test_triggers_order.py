"""The application's own triggers, cascades and transactions: whatever runs when, the log tells the truth."""

from __future__ import annotations

import sqlite3
from contextlib import suppress

import pytest

from fix_sqlite import Capture
from shared.sqlite.changelog import high
from shared.sqlite.installation import check_installed, install, overtaken

T = "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT, n INTEGER);"
EFFECTS = {
    "changes the row": "UPDATE t SET v = v || '!' WHERE id = NEW.id;",
    "changes the key": "UPDATE t SET id = id + 100 WHERE id = NEW.id AND id < 100;",
    "deletes the row": "DELETE FROM t WHERE id = NEW.id;",
    "replaces the row": "DELETE FROM t WHERE id = NEW.id; INSERT INTO t VALUES (NEW.id, 'other', 0);",
}


@pytest.mark.parametrize("late", [False, True], ids=["before ours", "after ours"])
@pytest.mark.parametrize("event", ["INSERT", "UPDATE OF n"])
@pytest.mark.parametrize("effect", EFFECTS)
def test_a_trigger_that_touches_the_same_row(capture: Capture, effect: str, event: str, late: bool) -> None:  # noqa: FBT001
    trigger = f"CREATE TRIGGER app AFTER {event} ON t BEGIN {EFFECTS[effect]} END;"
    source = capture(T if late else T + trigger)
    if late:
        source.run(trigger)
    source.run("INSERT INTO t VALUES (1, 'a', 0), (2, 'b', 0)", "UPDATE t SET n = n + 1", "DELETE FROM t WHERE id = 2")
    source.news()


def test_a_row_put_back_by_a_later_trigger_is_not_deleted_on_the_replica(capture: Capture) -> None:
    source = capture(T)
    source.run("CREATE TRIGGER back AFTER DELETE ON t BEGIN INSERT INTO t VALUES (OLD.id, 'back', 0); END")
    source.run("INSERT INTO t VALUES (1, 'a', 0)", "DELETE FROM t")
    assert source.news() == [("c", 1, "a", 0), ("c", 1, "back", 0)]


def test_a_row_put_in_the_place_of_a_changed_key_stays(capture: Capture) -> None:
    source = capture(T)
    source.run("CREATE TRIGGER keep AFTER UPDATE OF id ON t BEGIN INSERT INTO t VALUES (OLD.id, 'stub', 0); END")
    source.run("INSERT INTO t VALUES (1, 'a', 0)", "UPDATE t SET id = 2")
    assert source.news() == [("c", 1, "a", 0), ("c", 1, "stub", 0), ("c", 2, "a", 0)]


def test_raise_ignore_in_an_older_after_trigger_does_not_hide_the_row(capture: Capture) -> None:
    source = capture(T + "CREATE TRIGGER quiet AFTER INSERT ON t BEGIN SELECT RAISE(IGNORE); END;")
    source.run("INSERT INTO t VALUES (1, 'a', 0)")
    assert source.news() == [("c", 1, "a", 0)]


@pytest.mark.parametrize("word", ["IGNORE", "FAIL, 'no'"])
def test_a_later_trigger_with_raise_is_found_and_installing_again_makes_it_harmless(
    capture: Capture, word: str
) -> None:
    source = capture(T)
    source.run(f"CREATE TRIGGER quiet AFTER INSERT ON t WHEN NEW.id > 5 BEGIN SELECT RAISE({word}); END")
    (what,) = check_installed(source.ours, source.schema)
    assert "quiet" in what
    install(source.ours, source.schema, "s")
    assert check_installed(source.ours, source.schema) == []
    with suppress(sqlite3.IntegrityError):
        source.run("INSERT INTO t VALUES (6, 'a', 0)")
    assert source.news() == [("c", 6, "a", 0)]


def test_a_later_trigger_that_fails_under_or_fail_is_why_ours_must_run_first(capture: Capture) -> None:
    source = capture(T + "CREATE TABLE once (id INTEGER PRIMARY KEY);")
    source.run("CREATE TRIGGER app AFTER UPDATE ON t BEGIN INSERT OR IGNORE INTO once VALUES (1); END")
    assert check_installed(source.ours, source.schema) == []
    assert overtaken(source.ours, source.schema) == ["t"]
    install(source.ours, source.schema, "s")
    assert overtaken(source.ours, source.schema) == []
    source.run("INSERT INTO once VALUES (1)", "INSERT INTO t VALUES (1, 'a', 0)")
    source.news()
    assert "UNIQUE" in source.fails("UPDATE OR FAIL t SET n = 7")  # SQLite keeps the row's change
    assert source.news() == [("u", 1, "a", 7)]


def test_raise_ignore_before_a_row_changes_nothing(capture: Capture) -> None:
    source = capture(T + "CREATE TRIGGER no BEFORE DELETE ON t BEGIN SELECT RAISE(IGNORE); END;")
    source.run("INSERT INTO t VALUES (1, 'a', 0)", "DELETE FROM t")
    assert source.news() == [("c", 1, "a", 0)]


CHILDREN = """
CREATE TABLE p (id INTEGER PRIMARY KEY, v TEXT);
CREATE TABLE c (id INTEGER PRIMARY KEY, p INTEGER DEFAULT 9 REFERENCES p ON DELETE {action} ON UPDATE {action});
"""


@pytest.mark.parametrize("action", ["CASCADE", "SET NULL", "SET DEFAULT"])
def test_what_a_foreign_key_does_to_children_is_logged(capture: Capture, action: str) -> None:
    source = capture(CHILDREN.format(action=action))
    source.run(
        "PRAGMA foreign_keys = ON", "INSERT INTO p VALUES (1, 'a'), (9, 'z')", "INSERT INTO c VALUES (1, 1), (2, 1)"
    )
    source.run("UPDATE p SET id = 2 WHERE id = 1", "DELETE FROM p WHERE id = 2", "REPLACE INTO p VALUES (9, 'new')")
    source.news()


def test_a_delete_of_all_rows_is_logged_row_by_row(capture: Capture) -> None:
    source = capture(T)
    source.run("INSERT INTO t VALUES (1, 'a', 0), (2, 'b', 0)")
    source.news()
    source.run("DELETE FROM t")
    assert sorted(source.news()) == [("d", 1, "a", 0), ("d", 2, "b", 0)]


def test_what_is_rolled_back_was_never_logged_and_the_numbers_stay_dense(capture: Capture) -> None:
    source = capture(T)
    source.run("INSERT INTO t VALUES (1, 'a', 0)", "BEGIN", "INSERT INTO t VALUES (2, 'b', 0)", "SAVEPOINT s")
    source.run("DELETE FROM t", "ROLLBACK TO s", "UPDATE t SET n = 1 WHERE id = 1", "RELEASE s", "COMMIT")
    source.run("BEGIN", "DELETE FROM t", "ROLLBACK", "INSERT INTO t VALUES (3, 'c', 0)")
    assert source.news() == [("c", 1, "a", 0), ("c", 2, "b", 0), ("u", 1, "a", 1), ("c", 3, "c", 0)]
    assert high(source.app) == 4


def test_capture_does_not_show_in_last_insert_rowid_and_changes(capture: Capture) -> None:
    source = capture("CREATE TABLE t (id INTEGER PRIMARY KEY, u TEXT UNIQUE)")
    source.run("INSERT INTO t VALUES (41, 'a')", "REPLACE INTO t VALUES (42, 'a')")
    assert source.app.execute("SELECT last_insert_rowid(), changes()").fetchone() == (42, 1)


def test_writes_through_an_attached_database_are_logged(capture: Capture) -> None:
    source = capture(T)
    source.app.execute("ATTACH ':memory:' AS other")
    source.app.execute("CREATE TABLE other.t AS SELECT 1 AS x")
    source.app.execute("CREATE TEMP TABLE _switchback_log (x)")  # shadows nothing: triggers keep to their own file
    source.app.execute("INSERT INTO main.t VALUES (1, 'a', 0)")
    source.app.execute("DROP TABLE temp._switchback_log")
    assert source.news() == [("c", 1, "a", 0)]


def test_capture_works_with_an_untrusted_schema(capture: Capture) -> None:
    source = capture("CREATE TABLE t (id INTEGER PRIMARY KEY, u TEXT UNIQUE COLLATE NOCASE)")
    source.run("PRAGMA trusted_schema = OFF", "INSERT INTO t VALUES (1, 'a')", "REPLACE INTO t VALUES (2, 'A')")
    source.run("UPDATE t SET id = 3", "DELETE FROM t")
    assert [op for op, *_ in source.news()] == ["c", "d", "c", "k", "c", "d"]
