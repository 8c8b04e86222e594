"""A VACUUM renumbers rowids: where that matters, capture stops with what to do, and nowhere else."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from capture.sqlite.opening import open_source
from inprocess import InProcess
from shared.errors import SchemaChanged
from shared.logs import get_logger
from shared.settings import Settings


def make(path: Path, ddl: str) -> Path:
    with closing(sqlite3.connect(path)) as db:
        db.execute(ddl)
        db.executemany("INSERT INTO t VALUES (?, ?)", [(f"key {n}", n) for n in range(200)])
        db.execute("DELETE FROM t WHERE n % 2 = 0")
        db.commit()
    return path


HARMLESS = [
    "ANALYZE",
    "CREATE VIEW v AS SELECT 1",
    "CREATE TRIGGER tr AFTER INSERT ON t BEGIN SELECT 1; END",
]
UNKNOWN = "vacuumed, or a view, a trigger or statistics .* cannot be told apart"


def run(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute(statement)


def vacuum(path: Path) -> None:
    run(path, "VACUUM")


def start_once(path: Path) -> None:
    """Start capture and end it again."""
    with open_source(Settings(source=path, stream="s"), get_logger("test")):
        pass


def test_a_table_without_a_key_stops_it(tmp_path: Path, postgres_dsn: str) -> None:
    source = make(tmp_path / "app.db", "CREATE TABLE t (k TEXT, n INTEGER)")
    with closing(InProcess(source, postgres_dsn)) as pipeline:
        pipeline.copy()
        vacuum(source)
        with pytest.raises(SchemaChanged, match="renumbers"):
            pipeline.follow()


@pytest.mark.parametrize("statement", HARMLESS)
def test_what_cannot_be_told_from_a_vacuum_stops_it_too_and_says_so(
    tmp_path: Path, postgres_dsn: str, statement: str
) -> None:
    source = make(tmp_path / "app.db", "CREATE TABLE t (k TEXT, n INTEGER)")
    with closing(InProcess(source, postgres_dsn)) as pipeline:
        pipeline.copy()
        run(source, statement)
        with pytest.raises(SchemaChanged, match=UNKNOWN):
            pipeline.follow()


@pytest.mark.parametrize("statement", ["VACUUM", *HARMLESS])
def test_what_may_have_been_a_vacuum_while_no_capture_ran_keeps_it_from_starting(
    tmp_path: Path, statement: str
) -> None:
    source = make(tmp_path / "app.db", "CREATE TABLE t (k TEXT, n INTEGER)")
    start_once(source)
    run(source, statement)
    with pytest.raises(SchemaChanged, match=UNKNOWN):
        start_once(source)


def test_a_table_that_is_being_copied_by_rowid_stops_it(tmp_path: Path, postgres_dsn: str) -> None:
    source = make(tmp_path / "app.db", "CREATE TABLE t (k TEXT PRIMARY KEY, n INTEGER)")
    with closing(InProcess(source, postgres_dsn, chunk_rows=10)) as pipeline:
        pipeline.relay.publish_schema()
        pipeline.relay.publish_chunk()
        vacuum(source)
        with pytest.raises(SchemaChanged, match="renumbers"):
            pipeline.relay.publish_chunk()


def test_a_copied_table_with_a_key_goes_on(tmp_path: Path, postgres_dsn: str) -> None:
    source = make(tmp_path / "app.db", "CREATE TABLE t (k TEXT PRIMARY KEY, n INTEGER)")
    with closing(InProcess(source, postgres_dsn)) as pipeline:
        pipeline.copy()
        vacuum(source)
        with closing(sqlite3.connect(source)) as db:
            db.execute("UPDATE t SET n = -1 WHERE k = 'key 7'")
            db.commit()
        pipeline.follow()
        assert pipeline.differences() == []


def test_keys_that_their_column_takes_for_equal_are_all_copied(tmp_path: Path, postgres_dsn: str) -> None:
    ddl = "CREATE TABLE t (k TEXT COLLATE NOCASE, n INTEGER, PRIMARY KEY (k COLLATE BINARY)) WITHOUT ROWID"
    source = make(tmp_path / "app.db", ddl)
    with closing(sqlite3.connect(source)) as db:
        db.executemany("INSERT INTO t VALUES (?, 1)", [("A",), ("a",), ("B",), ("b",)])
        db.commit()
    with closing(InProcess(source, postgres_dsn, chunk_rows=1)) as pipeline:
        pipeline.copy()
        assert pipeline.differences() == []
