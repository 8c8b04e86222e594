"""The change log's numbers are dense and never given out twice; whatever else is seen means another history."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from fix_sqlite import Capture
from replay import Captured
from shared.errors import SchemaChanged, SourceRestored
from shared.sqlite.catalog import read_schema
from shared.sqlite.changelog import high, prune, read_changes
from shared.sqlite.connection import writing
from shared.sqlite.installation import install
from shared.tables import Schema

T = "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT);"


def filled(capture: Capture, rows: int = 10) -> Captured:
    source = capture(T)
    source.run("BEGIN")
    source.app.executemany("INSERT INTO t (v) VALUES (?)", [("x",)] * rows)
    source.run("COMMIT")
    return source


def seqs(source: Captured, after: int, upto: int, limit: int) -> list[int]:
    return [change.seq for change in read_changes(source.ours, source.schema, after, upto, limit)]


def test_an_empty_log_is_at_zero(capture: Capture) -> None:
    source = capture(T)
    assert high(source.ours) == 0
    assert seqs(source, 0, 0, 10) == []


def test_pages_follow_each_other_and_end_where_they_should(capture: Capture) -> None:
    source = filled(capture)
    assert [seqs(source, after, 7, 3) for after in (0, 3, 6, 7)] == [[1, 2, 3], [4, 5, 6], [7], []]


def test_a_change_has_its_table_op_time_and_values(capture: Capture) -> None:
    source = filled(capture, 1)
    (change,) = read_changes(source.ours, source.schema, 0, 1, 1)
    assert (change.table, change.op, change.seq, tuple(change.values)) == ("t", "c", 1, (1, "x"))


def test_pruning_goes_in_steps_and_never_takes_the_last(capture: Capture) -> None:
    source = filled(capture)
    with writing(source.ours):
        assert [prune(source.ours, upto, 4) for upto in (3, 100, 100, 100)] == [3, 4, 2, 0]
    assert high(source.ours) == 10
    source.run("INSERT INTO t (v) VALUES ('y')")
    assert seqs(source, 10, 11, 10) == [11]


def test_pruning_an_empty_log_does_nothing(capture: Capture) -> None:
    source = capture(T)
    with writing(source.ours):
        assert prune(source.ours, 100, 100) == 0


def test_pruning_forgets_remembered_rows(capture: Capture) -> None:
    source = capture("CREATE TABLE t (id INTEGER PRIMARY KEY, u TEXT UNIQUE)")
    source.run("INSERT INTO t VALUES (1, 'a')", "INSERT OR IGNORE INTO t VALUES (2, 'a')")
    assert source.app.execute("SELECT count(*) FROM _switchback_pending").fetchone() == (1,)
    with writing(source.ours):
        prune(source.ours, 0, 100)
    assert source.app.execute("SELECT count(*) FROM _switchback_pending").fetchone() == (0,)


def test_pruning_logs_a_delete_for_a_remembered_row_that_is_gone_after_all(capture: Capture) -> None:
    source = capture("CREATE TABLE t (id INTEGER PRIMARY KEY, u TEXT UNIQUE)")
    source.run("CREATE TRIGGER app AFTER INSERT ON t WHEN NEW.id = 2 BEGIN SELECT RAISE(IGNORE); END")
    source.run("INSERT INTO t VALUES (1, 'a')", "REPLACE INTO t VALUES (2, 'a')")  # ours does not run: see decision 2
    with writing(source.ours):
        prune(source.ours, 0, 100)
    assert [(change.op, change.values[0]) for change in read_changes(source.ours, source.schema, 0, 2, 10)] == [
        ("c", 1),
        ("d", 1),
    ]


def test_numbers_are_not_given_out_again_after_pruning_and_rollback(capture: Capture) -> None:
    source = filled(capture)
    with writing(source.ours):
        prune(source.ours, 10, 100)
    source.run("BEGIN", "INSERT INTO t (v) VALUES ('no')", "ROLLBACK", "VACUUM", "INSERT INTO t (v) VALUES ('yes')")
    (change,) = read_changes(source.ours, source.schema, 10, 11, 10)
    assert tuple(change.values) == (11, "yes")


def test_no_table_of_sequences_is_made(capture: Capture) -> None:
    source = filled(capture)
    assert source.app.execute("SELECT name FROM sqlite_master WHERE name = 'sqlite_sequence'").fetchall() == []


@pytest.mark.parametrize(("gone", "after"), [("seq = 1", 0), ("seq = 5", 0), ("seq > 7", 0), ("seq < 9", 4), ("1", 9)])
def test_a_missing_change_stops(capture: Capture, gone: str, after: int) -> None:
    source = filled(capture)
    source.run(f"DELETE FROM _switchback_log WHERE {gone}")
    with pytest.raises(SourceRestored, match="does not go on"):
        seqs(source, after, 10, 100)


def test_a_page_that_is_cut_by_its_limit_is_no_gap(capture: Capture) -> None:
    source = filled(capture)
    source.run("DELETE FROM _switchback_log WHERE seq = 8")
    assert seqs(source, 0, 10, 7) == [1, 2, 3, 4, 5, 6, 7]


def test_a_change_of_a_table_that_is_not_replicated_stops(capture: Capture) -> None:
    source = filled(capture)
    with pytest.raises(SchemaChanged, match="not replicated"):
        read_changes(source.ours, Schema(()), 0, 10, 10)


def test_changes_of_another_shape_of_the_table_stop(capture: Capture) -> None:
    source = filled(capture, 1)
    source.run("ALTER TABLE t ADD COLUMN w")
    schema = read_schema(source.ours)
    install(source.ours, schema, "s")
    source.run("INSERT INTO t (w) VALUES (1)")
    with pytest.raises(SchemaChanged):
        read_changes(source.ours, schema, 0, 1, 1)
    assert tuple(read_changes(source.ours, schema, 1, 2, 1)[0].values) == (2, None, 1)


def test_everything_up_to_the_highest_seq_is_whole_transactions(tmp_path: Path) -> None:
    source = Captured(tmp_path / "s.db", T + "PRAGMA journal_mode = WAL;")
    other = sqlite3.connect(tmp_path / "s.db", isolation_level=None)
    other.execute("BEGIN")
    other.execute("INSERT INTO t (v) VALUES ('a'), ('b'), ('c')")
    assert high(source.ours) == 0
    other.execute("COMMIT")
    assert high(source.ours) == 3
    for db in (other, source.app, source.ours):
        db.close()
