"""Before a switch: tables are not those that were copied, or something stays behind."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from capture.sqlite.opening import open_source
from captured import Captured
from prechecking import BACK, codes, look, settings_of
from replicas import note_shape
from shared.logs import get_logger
from shared.settings import Settings

SCRIPT = "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); CREATE TABLE u (id INTEGER PRIMARY KEY);"


@pytest.fixture
def source(tmp_path: Path, postgres_dsn: str) -> Iterator[tuple[sqlite3.Connection, Settings]]:
    """The application's file as capture leaves it when it begins."""
    settings = settings_of(tmp_path / "app.db", postgres_dsn)
    with closing(sqlite3.connect(settings.source, isolation_level=None)) as application:
        application.executescript(SCRIPT)
        with open_source(settings, get_logger("test")):
            pass
        yield application, settings


@pytest.fixture
def captured(tmp_path: Path, postgres_dsn: str) -> Iterator[Captured]:
    """PostgreSQL is the primary."""
    with closing(Captured(tmp_path, postgres_dsn, SCRIPT)) as captured:
        note_shape(tmp_path / "app.db")
        yield captured


@pytest.mark.parametrize(
    ("change", "back"),
    [
        ("ALTER TABLE t ADD COLUMN w", "ALTER TABLE t DROP COLUMN w"),
        ("CREATE TABLE extra (id INTEGER PRIMARY KEY)", "DROP TABLE extra"),
        ("ALTER TABLE t RENAME v TO w", "ALTER TABLE t RENAME w TO v"),
        ("CREATE UNIQUE INDEX i ON t (v)", "DROP INDEX i"),
    ],
)
def test_tables_of_sqlite_that_are_not_those_that_were_copied_refuse_until_that_is_taken_back(
    source: tuple[sqlite3.Connection, Settings], change: str, back: str
) -> None:
    application, settings = source
    application.execute(change)
    [finding] = look("schema", settings)
    assert codes([finding]) == [("refuse", "schema")]
    assert finding.what == "SQLite's tables are not those that were copied"
    application.execute(back)
    assert look("schema", settings) == []


def test_rows_views_triggers_and_what_sqlite_does_by_itself_leave_the_tables_as_they_were_copied(
    source: tuple[sqlite3.Connection, Settings],
) -> None:
    application, settings = source
    application.executescript("INSERT INTO t VALUES (1, 'one'); CREATE VIEW w AS SELECT v FROM t; ANALYZE; VACUUM;")
    application.execute("CREATE TRIGGER x AFTER INSERT ON t BEGIN DELETE FROM u; END")
    assert look("schema", settings) == []


def test_tables_of_sqlite_that_were_changed_refuse_the_way_back_too(tmp_path: Path, captured: Captured) -> None:
    settings = settings_of(tmp_path / "app.db", captured.dsn)
    assert look("schema", settings, BACK) == []
    with closing(sqlite3.connect(tmp_path / "app.db")) as db:
        db.execute("CREATE TABLE extra (id INTEGER PRIMARY KEY)")
    [finding] = look("schema", settings, BACK)
    assert codes([finding]) == [("refuse", "schema")]
    assert finding.where == str(tmp_path / "app.db")


@pytest.mark.parametrize(
    ("change", "said", "back"),
    [
        ("ALTER TABLE t ADD COLUMN w int", "w integer came", "ALTER TABLE t DROP COLUMN w"),
        ("ALTER TABLE t RENAME TO other", "it is gone", "ALTER TABLE other RENAME TO t"),
        ("ALTER TABLE t RENAME v TO w", "w text came, v text went", "ALTER TABLE t RENAME w TO v"),
    ],
)
def test_a_table_of_postgresql_that_was_changed_while_it_is_the_primary_refuses_until_that_is_taken_back(
    tmp_path: Path, captured: Captured, change: str, said: str, back: str
) -> None:
    settings = settings_of(tmp_path / "app.db", captured.dsn)
    captured.run(change)
    found = look("schema", settings, BACK)
    assert ("refuse", "schema") in codes(found)
    [finding] = [one for one in found if one.level == "refuse"]
    assert finding.where == "table t of PostgreSQL"
    assert finding.what.endswith(said)
    captured.run(back)
    assert look("schema", settings, BACK) == []


def test_a_trigger_of_ours_that_was_switched_in_postgresql_refuses(tmp_path: Path, captured: Captured) -> None:
    settings = settings_of(tmp_path / "app.db", captured.dsn)
    captured.run("ALTER TABLE u DISABLE TRIGGER switchback_capture")
    [finding] = look("schema", settings, BACK)
    assert codes([finding]) == [("refuse", "schema")]
    assert finding.where == "table u of PostgreSQL"
    assert "switchback_capture was switched" in finding.what


def test_a_table_that_came_to_postgresql_while_it_is_the_primary_is_warned_of(
    tmp_path: Path, captured: Captured
) -> None:
    settings = settings_of(tmp_path / "app.db", captured.dsn)
    captured.run("CREATE TABLE later (id int)", "CREATE VIEW w AS SELECT 1", "CREATE INDEX i ON t (v)")
    [finding] = look("schema", settings, BACK)
    assert codes([finding]) == [("warn", "new-tables")]
    assert finding.what == "tables that SQLite does not have came to PostgreSQL: later"
    captured.run("DROP TABLE later")
    assert look("schema", settings, BACK) == []


@pytest.mark.parametrize(
    ("made", "named"),
    [
        ("CREATE TRIGGER x AFTER INSERT ON t BEGIN DELETE FROM u; END", "trigger x"),
        ("CREATE VIEW w AS SELECT v FROM t", "view w"),
        ("CREATE VIRTUAL TABLE words USING fts5 (body)", "table words"),
    ],
)
def test_what_does_not_come_along_to_postgresql_is_noted(
    source: tuple[sqlite3.Connection, Settings], made: str, named: str
) -> None:
    application, settings = source
    assert look("left behind", settings) == []
    application.execute(made)
    [finding] = look("left behind", settings)
    assert codes([finding]) == [("note", "left-behind")]
    assert finding.what == f"1 objects do not come along: {named}"


def test_of_many_that_do_not_come_along_five_are_named(source: tuple[sqlite3.Connection, Settings]) -> None:
    application, settings = source
    for number in range(6):
        application.execute(f"CREATE VIEW w{number} AS SELECT 1")
    [finding] = look("left behind", settings)
    assert finding.what == "6 objects do not come along: view w0, view w1, view w2, view w3, view w4, ..."
