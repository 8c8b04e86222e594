"""From SQLite through the log to PostgreSQL in one process: the copy, and changes while it runs and after it."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from capture.relay import Relay
from capture.sqlite import chunks
from capture.sqlite.source import SqliteSource
from inprocess import STREAM, InProcess
from shared.errors import BadInput, Hold
from shared.log.spine import Writer
from shared.sqlite.catalog import read_schema
from shared.sqlite.connection import connect
from shared.sqlite.installation import install
from traffic import Traffic, make_database


def test_a_copy_and_what_follows_it_are_equal_to_the_source(tmp_path: Path, postgres_dsn: str) -> None:
    source = make_database(tmp_path / "app.db")
    pipeline = InProcess(source, postgres_dsn)
    with Traffic(source, writers=2) as traffic:
        pipeline.copy()
        rounds = 0
        while rounds < 20 or len(traffic.acknowledged) <= 10:
            time.sleep(0.02)
            pipeline.follow()
            rounds += 1
        traffic.end()
    pipeline.follow()
    assert not traffic.trouble
    assert pipeline.differences() == []
    pipeline.close()


def test_a_table_that_is_copied_has_as_many_rows_as_were_copied_however_many_its_rowids_promised(
    tmp_path: Path, postgres_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunks, "_COUNTED", 10)
    source = tmp_path / "app.db"
    with closing(sqlite3.connect(source)) as db:
        db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY)")
        db.executemany("INSERT INTO t VALUES (?)", [(n * 1_000,) for n in range(30)])
        db.commit()
    with closing(InProcess(source, postgres_dsn, chunk_rows=20)) as pipeline:
        pipeline.relay.publish_schema()
        pipeline.relay.publish_chunk()
        assert pipeline.relay.progress.tables["t"].total == 29_001
        pipeline.relay.publish_chunk()
        assert pipeline.relay.progress.tables["t"].total == 30


def test_a_statement_behind_one_that_failed_was_never_prepared_and_is_prepared_again(
    tmp_path: Path, postgres_dsn: str
) -> None:
    """A small batch goes in one pipeline: behind an error there, the server takes notice of nothing."""
    source = tmp_path / "app.db"
    with closing(sqlite3.connect(source)) as db:
        db.executescript(
            "CREATE TABLE a (id INTEGER PRIMARY KEY, n INTEGER); CREATE TABLE b (id INTEGER PRIMARY KEY, n INTEGER);"
            "INSERT INTO a VALUES (1, 0); INSERT INTO b VALUES (1, 0);"
        )
    pipeline = InProcess(source, make_conninfo(postgres_dsn, options="-c lock_timeout=1s"))
    pipeline.copy()
    pipeline.restart_sink()
    pipeline.replica.begin()
    pipeline.replica.rollback()  # psycopg takes a ROLLBACK that it has seen early for one that changes nothing
    for turn in range(20):
        pipeline.db.execute("BEGIN")
        pipeline.db.execute("UPDATE a SET n = ? WHERE id = 1", (turn,))
        pipeline.db.execute("UPDATE b SET n = ? WHERE id = 1", (turn,))
        pipeline.db.execute("COMMIT")
        if turn < _PREPARED_FROM:
            pipeline.follow()
        elif turn == _PREPARED_FROM:
            with _locked(postgres_dsn, 1.5):  # the pipeline gives up, the careful way gets through
                pipeline.follow()
    pipeline.follow()
    assert pipeline.differences() == []
    pipeline.close()


_PREPARED_FROM = 5  # so many times psycopg sends a statement before it prepares it


@contextmanager
def _locked(dsn: str, seconds: float) -> Iterator[None]:
    with psycopg.connect(dsn) as other:
        other.execute("SELECT 1 FROM a FOR UPDATE")
        ending = threading.Timer(seconds, other.rollback)
        ending.start()
        yield
        ending.join()


def test_another_file_under_the_same_streams_name_is_refused_and_takes_nothing_over(
    tmp_path: Path, postgres_dsn: str
) -> None:
    """Two applications' db.sqlite3 with one broker: however often it tries, the one that was there first goes on."""
    source = tmp_path / "app.db"
    (tmp_path / "other").mkdir()
    for path in (source, tmp_path / "other" / "app.db"):
        with closing(sqlite3.connect(path)) as db:
            db.executescript("CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1)")
    with closing(InProcess(source, postgres_dsn)) as pipeline:
        pipeline.copy()
        with closing(connect(tmp_path / "other" / "app.db")) as other:
            schema = read_schema(other)
            install(other, schema, STREAM)
            for _ in range(3):
                stranger = SqliteSource(other, tmp_path / "other" / "app.db", schema, 100)
                writer = Writer(pipeline.log.spine, STREAM, stranger.incarnation)
                with pytest.raises(BadInput, match="history of another source"):
                    Relay(stranger, writer, stranger.progress, lambda _published: None).claim()
        with closing(sqlite3.connect(source)) as db, db:
            db.execute("INSERT INTO t VALUES (2)")
        pipeline.follow()
        assert pipeline.differences() == []


def test_a_null_in_a_text_primary_key_stops_at_that_change_by_name(tmp_path: Path, postgres_dsn: str) -> None:
    """SQLite allows it there, PostgreSQL does not; the change stands among others that fit."""
    source = tmp_path / "app.db"
    with closing(sqlite3.connect(source)) as db:
        db.executescript("CREATE TABLE t (k TEXT PRIMARY KEY, n INTEGER); INSERT INTO t VALUES ('a', 1)")
    with closing(InProcess(source, postgres_dsn)) as pipeline:
        pipeline.copy()
        with closing(sqlite3.connect(source)) as db, db:
            db.execute("INSERT INTO t VALUES ('b', 1), (NULL, 2), ('c', 3)")
        with pytest.raises(Hold, match=r"table t, key NULL, change 2"):
            pipeline.follow()
