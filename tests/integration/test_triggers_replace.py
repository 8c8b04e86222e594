"""REPLACE removes rows without a word; every way of it, and every way of it not happening, is in the change log."""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from itertools import product

import pytest

from fix_sqlite import Capture

CLAUSES = ("", "OR REPLACE", "OR IGNORE", "OR FAIL", "OR ABORT", "OR ROLLBACK")
INDEXES = {
    "plain": "CREATE UNIQUE INDEX i ON t (u)",
    "partial": "CREATE UNIQUE INDEX i ON t (u) WHERE live = 1",
    "expression": "CREATE UNIQUE INDEX i ON t (lower(u))",
    "partial expression": "CREATE UNIQUE INDEX i ON t (lower(u) DESC, live) WHERE live IS NOT NULL AND t.live > 0",
    "nocase": "CREATE UNIQUE INDEX i ON t (u COLLATE NOCASE)",
    "composite": "CREATE UNIQUE INDEX i ON t (live, u)",
}
TABLES = {
    "rowid alias": "id INTEGER PRIMARY KEY, u TEXT, live INTEGER",
    "rowid table": "id TEXT PRIMARY KEY, u TEXT, live INTEGER",
    "typeless": "id PRIMARY KEY, u, live",
    "no key": "id INTEGER, u TEXT, live INTEGER",
    "unique key": "id INTEGER NOT NULL UNIQUE, u TEXT, live INTEGER",
}
STATEMENTS = [
    "INSERT {} INTO t VALUES (9, 'a', 1)",
    "INSERT {} INTO t VALUES (2, 'a', 1)",
    "INSERT {} INTO t VALUES (9, 'A', 1), (10, 'b', 1), (11, 'z', 1)",
    "INSERT {} INTO t SELECT id + 10, u, live FROM t",
    "UPDATE {} t SET u = 'a' WHERE id = 2",
    "UPDATE {} t SET u = 'a'",
    "UPDATE {} t SET id = 2 WHERE id = 1",
    "UPDATE {} t SET id = 3 - id, u = 'c' WHERE id < 3",
    "UPDATE {} t SET live = 1 WHERE id = 4",
]


@pytest.mark.parametrize("recursive", ["ON", "OFF"])
@pytest.mark.parametrize("index", INDEXES)
@pytest.mark.parametrize("table", TABLES)
def test_every_conflict_clause_leaves_the_log_true(capture: Capture, table: str, index: str, recursive: str) -> None:
    source = capture(f"CREATE TABLE t ({TABLES[table]}); {INDEXES[index]};")
    source.run(f"PRAGMA recursive_triggers = {recursive}", "PRAGMA synchronous = OFF")
    for clause, statement in product(CLAUSES, STATEMENTS):
        source.run("DELETE FROM t", "INSERT INTO t VALUES (1, 'a', 1), (2, 'b', 1), (3, 'c', 1), (4, 'e', NULL)")
        with suppress(sqlite3.IntegrityError):  # a refused statement is as good a case as any
            source.run(statement.format(clause))
        source.model.check()


def test_a_replaced_row_of_another_key_gets_a_delete_before_the_new_row(capture: Capture) -> None:
    source = capture("CREATE TABLE t (id INTEGER PRIMARY KEY, u TEXT UNIQUE)")
    source.run("INSERT INTO t VALUES (1, 'a'), (2, 'b')")
    source.news()
    source.run("INSERT OR REPLACE INTO t VALUES (3, 'a')")
    assert source.news() == [("d", 1, "a"), ("c", 3, "a")]


def test_a_row_that_replaces_two_gets_both_deletes(capture: Capture) -> None:
    source = capture("CREATE TABLE t (id INTEGER PRIMARY KEY, u TEXT UNIQUE, v TEXT UNIQUE)")
    source.run("INSERT INTO t VALUES (1, 'a', 'x'), (2, 'b', 'y')")
    source.news()
    source.run("REPLACE INTO t VALUES (NULL, 'a', 'y')")
    assert sorted(source.news()) == [("c", 3, "a", "y"), ("d", 1, "a", "x"), ("d", 2, "b", "y")]


def test_replacing_a_row_under_its_own_key_is_one_entry(capture: Capture) -> None:
    source = capture("CREATE TABLE t (id INTEGER PRIMARY KEY, u TEXT UNIQUE)")
    source.run("INSERT INTO t VALUES (1, 'a')")
    source.news()
    source.run("REPLACE INTO t VALUES (1, 'a')")
    assert source.news() == [("c", 1, "a")]


def test_an_ignored_insert_leaves_no_entry_now_or_later(capture: Capture) -> None:
    source = capture("CREATE TABLE t (id INTEGER PRIMARY KEY, u TEXT UNIQUE)")
    source.run("INSERT INTO t VALUES (1, 'a')")
    source.news()
    source.run("INSERT OR IGNORE INTO t VALUES (2, 'a')", "UPDATE t SET u = 'b'", "INSERT INTO t VALUES (2, 'a')")
    assert source.news() == [("u", 1, "b"), ("c", 2, "a")]


def test_remembered_rows_do_not_pile_up_under_ignored_inserts(capture: Capture) -> None:
    source = capture("CREATE TABLE t (id INTEGER PRIMARY KEY, u TEXT UNIQUE)")
    source.run("INSERT INTO t VALUES (1, 'a')")
    for number in range(2, 50):
        source.run(f"INSERT OR IGNORE INTO t VALUES ({number}, 'a')")
    assert source.app.execute("SELECT count(*) FROM _switchback_pending").fetchone() == (1,)


def test_an_upsert_is_an_update(capture: Capture) -> None:
    source = capture("CREATE TABLE t (id INTEGER PRIMARY KEY, u TEXT UNIQUE, n INTEGER)")
    source.run("INSERT INTO t VALUES (1, 'a', 1)")
    source.news()
    source.run("INSERT INTO t VALUES (NULL, 'a', 1) ON CONFLICT (u) DO UPDATE SET n = n + 1")
    assert source.news() == [("u", 1, "a", 2)]


def test_a_constraint_with_its_own_conflict_clause_replaces_without_any_or(capture: Capture) -> None:
    source = capture("CREATE TABLE t (id INTEGER PRIMARY KEY, u TEXT UNIQUE ON CONFLICT REPLACE)")
    source.run("INSERT INTO t VALUES (1, 'a'), (2, 'b')")
    source.news()
    source.run("INSERT INTO t VALUES (3, 'a')", "UPDATE t SET u = 'b' WHERE id = 3")
    assert source.news() == [("d", 1, "a"), ("c", 3, "a"), ("d", 2, "b"), ("u", 3, "b")]


@pytest.mark.parametrize("default", ["'x'", '"x"', "x", "('x')", "(lower('X'))"])
def test_a_default_in_the_place_of_a_null_replaces_too(capture: Capture, default: str) -> None:
    source = capture(f"CREATE TABLE t (id INTEGER PRIMARY KEY, u TEXT NOT NULL DEFAULT {default} UNIQUE)")
    source.run("INSERT INTO t VALUES (1, 'x')")
    source.news()
    source.run("INSERT OR REPLACE INTO t VALUES (2, NULL)")
    assert source.news() == [("d", 1, "x"), ("c", 2, "x")]


def test_an_explicit_rowid_replaces_the_row_of_another_key(capture: Capture) -> None:
    source = capture("CREATE TABLE t (name TEXT PRIMARY KEY NOT NULL)")
    source.run("INSERT INTO t VALUES ('a')")
    source.news()
    source.run("INSERT OR REPLACE INTO t (rowid, name) VALUES (1, 'b')")
    assert source.news() == [("d", "a"), ("c", "b")]


def test_a_row_with_rowid_minus_one_is_replaced_like_any_other(capture: Capture) -> None:
    source = capture("CREATE TABLE t (id INTEGER PRIMARY KEY, u TEXT UNIQUE)")
    source.run("INSERT INTO t VALUES (-1, 'a')")
    source.news()
    source.run("INSERT OR REPLACE INTO t (u) VALUES ('a')")
    assert source.news() == [("d", -1, "a"), ("c", 0, "a")]


def test_a_nocase_key_in_another_case_is_another_key(capture: Capture) -> None:
    source = capture("CREATE TABLE t (name TEXT PRIMARY KEY COLLATE NOCASE NOT NULL, n INTEGER) WITHOUT ROWID")
    source.run("INSERT INTO t VALUES ('a', 1)", "REPLACE INTO t VALUES ('A', 2)", "UPDATE t SET name = 'a'")
    assert source.news() == [("c", "a", 1), ("d", "a", 1), ("c", "A", 2), ("k", "A", 2), ("c", "a", 2)]


def test_a_key_that_changes_only_its_storage_class_is_another_key(capture: Capture) -> None:
    source = capture("CREATE TABLE t (k PRIMARY KEY NOT NULL)")
    source.run("INSERT INTO t VALUES (1)", "UPDATE t SET k = 1.0", "REPLACE INTO t VALUES (1)")
    assert [(op, repr(value)) for op, value in source.news()] == [
        ("c", "1"),
        ("k", "1"),
        ("c", "1.0"),
        ("d", "1.0"),
        ("c", "1"),
    ]


def test_an_update_that_its_own_cascade_deletes_still_reports_what_it_replaced(capture: Capture) -> None:
    source = capture(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, parent INTEGER REFERENCES t ON DELETE CASCADE, u TEXT UNIQUE)"
    )
    source.run("PRAGMA foreign_keys = ON", "INSERT INTO t VALUES (1, NULL, 'a'), (2, 1, 'b')")
    source.run("UPDATE OR REPLACE t SET u = 'a' WHERE id = 2")
    assert source.app.execute("SELECT count(*) FROM t").fetchone() == (0,)
    assert sorted(source.news()[2:]) == [("d", 1, None, "a"), ("d", 2, 1, "b")]


def test_an_update_that_takes_its_parents_key_and_is_deleted_with_it_still_reports_the_parent(capture: Capture) -> None:
    source = capture("CREATE TABLE t (id INTEGER PRIMARY KEY, parent INTEGER REFERENCES t ON DELETE CASCADE)")
    source.run("PRAGMA foreign_keys = ON", "INSERT INTO t VALUES (1, NULL), (2, 1)")
    source.run("UPDATE OR REPLACE t SET id = 1, parent = NULL WHERE id = 2")
    assert source.app.execute("SELECT count(*) FROM t").fetchone() == (0,)
    assert sorted(source.news()[2:]) == [("d", 1, None), ("d", 2, 1)]


def test_a_replace_inside_a_before_trigger_does_not_hide_the_outer_one(capture: Capture) -> None:
    source = capture(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, u TEXT UNIQUE, n INTEGER DEFAULT 0);"
        "CREATE TRIGGER counts BEFORE INSERT ON t BEGIN UPDATE t SET n = n + 1 WHERE u = NEW.u; END;"
    )
    source.run("INSERT INTO t VALUES (1, 'a', 0)")
    source.news()
    source.run("REPLACE INTO t VALUES (2, 'a', 5)")
    assert [entry[:2] for entry in source.news()] == [("u", 1), ("d", 1), ("c", 2)]


def test_deleted_rowids_given_out_again_keep_their_order(capture: Capture) -> None:
    source = capture("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)")
    source.run("INSERT INTO t VALUES (1, 'a')", "DELETE FROM t", "INSERT INTO t (v) VALUES ('b')", "DELETE FROM t")
    assert source.news() == [("c", 1, "a"), ("d", 1, "a"), ("c", 1, "b"), ("d", 1, "b")]


def test_json_in_a_partial_expression_index_is_not_read_where_the_index_does_not(capture: Capture) -> None:
    source = capture(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, d TEXT);"
        "CREATE UNIQUE INDEX i ON t (json_extract(d, '$.k')) WHERE json_valid(d);"
    )
    source.run("INSERT INTO t VALUES (1, 'no json'), (2, '{\"k\": 7}')", "UPDATE t SET d = 'none' WHERE id = 1")
    source.run("REPLACE INTO t VALUES (3, '{\"k\": 7}')")
    assert [entry[:2] for entry in source.news()] == [("c", 1), ("c", 2), ("u", 1), ("d", 2), ("c", 3)]
