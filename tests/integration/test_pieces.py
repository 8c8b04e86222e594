"""A snapshot chunk comes in many pieces, and any of them may meet rows that are there or values that do not fit."""

from __future__ import annotations

import random
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

import capture.sqlite.chunks
import capture.sqlite.pieces
import sink.postgres.pieces
from inprocess import InProcess
from shared.errors import Hold
from shared.groups import RawText, Rows
from sink.postgres.pieces import PieceWriter
from sink.postgres.statements import compose

TABLES = ("t (id INTEGER PRIMARY KEY, number INTEGER, word TEXT)", "u (id TEXT PRIMARY KEY, number INTEGER, word TEXT)")
MISHAPS: dict[str, Callable[[random.Random], str]] = {
    "a row that the chunk brings again": lambda choose: f"UPDATE t SET number = {choose.randrange(99)}",
    "the same where only the index knows": lambda choose: f"UPDATE u SET number = {choose.randrange(99)}",
    "a text among integers": lambda _choose: "UPDATE t SET number = 'n/a'",
    "a fraction among integers": lambda _choose: "UPDATE u SET number = 1.5",
    "a text with NUL": lambda _choose: "UPDATE u SET word = 'a' || char(0) || 'b'",
    "bytes that are no text": lambda _choose: "UPDATE t SET word = CAST(x'ff41' AS TEXT)",
    "a row that goes": lambda _choose: "DELETE FROM t",
}


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture.sqlite.chunks, "SLICE_ROWS", 5)
    monkeypatch.setattr(capture.sqlite.pieces, "_PIECE_BYTES", 100)


def application(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode=wal")
    for table in TABLES:
        db.execute(f"CREATE TABLE {table}")
        db.executemany(f"INSERT INTO {table[0]} VALUES (?, ?, 'word')", [(n, n) for n in range(80)])
    return db


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How many pieces of table t were written, and by how many COPY commands."""
    counted: Counter[str] = Counter()
    begin, write = psycopg.Cursor.copy, PieceWriter.write

    def beginning(cursor: psycopg.Cursor[Any], statement: sql.Composed, **options: Any) -> Any:
        counted["copies"] += statement.as_string().startswith('COPY "t"')
        return begin(cursor, statement, **options)

    def writing(writer: PieceWriter, piece: Rows) -> int:
        counted["pieces"] += piece.table == "t"
        return write(writer, piece)

    monkeypatch.setattr(psycopg.Cursor, "copy", beginning)
    monkeypatch.setattr(PieceWriter, "write", writing)
    return counted


@pytest.mark.parametrize("seed", range(12))
def test_whatever_the_pieces_of_a_chunk_meet_the_copy_is_whole(
    seed: int, tmp_path: Path, postgres_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    choose = random.Random(seed)
    monkeypatch.setattr(sink.postgres.pieces, "_PIECES_A_COPY", choose.choice((1, 2, 4)))
    path = tmp_path / "app.db"
    with closing(application(path)) as app, closing(InProcess(path, postgres_dsn, chunk_rows=40)) as pipeline:
        pipeline.relay.publish_schema()  # with the census
        for mishap in choose.sample(list(MISHAPS), 4):
            for _ in range(choose.randrange(1, 4)):
                app.execute(f"{MISHAPS[mishap](choose)} WHERE id = '{choose.randrange(80)}'")
        pipeline.copy()
        assert pipeline.differences() == []
        assert any(group.rows == 40 for group in pipeline.applied_groups)


def test_a_chunk_that_is_abandoned_leaves_nothing(tmp_path: Path, postgres_dsn: str) -> None:
    """Its last piece is still on its way when a claim of another capture comes instead of the next."""
    path = tmp_path / "app.db"
    with closing(application(path)), closing(InProcess(path, postgres_dsn)) as pipeline:
        pipeline.relay.publish_schema()
        pipeline.drain()
        pipeline.replica.begin()
        for start in (1000, 1010):
            numbers = list(range(start, start + 10))
            pipeline.replica.copy_rows(Rows("t", [numbers, numbers, ["word"] * 10]))
        pipeline.replica.rollback()
        pipeline.copy()
        assert pipeline.differences() == []


@pytest.mark.parametrize("there", [False, True], ids=["a range that is free", "a range that is taken"])
@pytest.mark.parametrize("rows", [1, 2, 50])
def test_bytes_that_are_no_text_are_kept_in_a_piece_of_any_length(
    tmp_path: Path, postgres_dsn: str, rows: int, *, there: bool
) -> None:
    path = tmp_path / "app.db"
    numbers = list(range(1000, 1000 + rows))
    words = ["word"] * (rows - 1) + [RawText(b"\xff")]
    with closing(application(path)), closing(InProcess(path, postgres_dsn)) as pipeline:
        pipeline.relay.publish_schema()
        pipeline.drain()
        pipeline.replica.begin()
        if there:
            pipeline.replica.copy_rows(Rows("t", [[1000], [1], ["ahead"]]))
        pipeline.replica.copy_rows(Rows("t", [numbers, numbers, words]))
        pipeline.replica.settle()
        pipeline.replica.commit()
        with psycopg.connect(postgres_dsn) as db:
            assert db.execute("SELECT word FROM t ORDER BY id").fetchall()[-1] == (b"\xff",)


def test_between_two_reads_the_connection_is_free(tmp_path: Path, postgres_dsn: str) -> None:
    """A daemon asks it for its metrics in the middle of a chunk."""
    path = tmp_path / "app.db"
    with closing(application(path)), closing(InProcess(path, postgres_dsn)) as pipeline:
        pipeline.relay.publish_schema()
        pipeline.relay.publish_chunk()
        pipeline.relay.flush()
        while events := pipeline.reader.read(0):
            for event in events:
                pipeline.applier.apply([event])
                assert pipeline.replica.count_refused() == 0


def test_pieces_behind_each_other_share_a_copy(tmp_path: Path, postgres_dsn: str, seen: Counter[str]) -> None:
    path = tmp_path / "app.db"
    with closing(application(path)), closing(InProcess(path, postgres_dsn, chunk_rows=40)) as pipeline:
        pipeline.copy()
        assert pipeline.differences() == []
        assert 0 < seen["copies"] < seen["pieces"]


def test_they_do_not_where_a_row_stands_behind_them(tmp_path: Path, postgres_dsn: str, seen: Counter[str]) -> None:
    """The rows of a later piece may be there, as far as anybody knows: each piece is looked at."""
    path = tmp_path / "app.db"
    with closing(application(path)) as app, closing(InProcess(path, postgres_dsn, chunk_rows=40)) as pipeline:
        pipeline.relay.publish_schema()
        app.execute("INSERT INTO t VALUES (1000, 1, 'word')")
        pipeline.relay.publish_changes()
        pipeline.copy()
        assert pipeline.differences() == []
        assert seen["copies"] == seen["pieces"] - 1  # the last one is there already


def test_a_value_that_only_the_server_refuses_is_named_wherever_in_a_copy_it_stands(
    tmp_path: Path, postgres_dsn: str
) -> None:
    path = tmp_path / "app.db"
    with psycopg.connect(postgres_dsn) as db:
        db.execute("CREATE TABLE t (id bigint PRIMARY KEY, number bigint, word text CHECK (length(word) < 5))")
    with closing(application(path)) as app, closing(InProcess(path, postgres_dsn, existing="match")) as pipeline:
        app.execute("UPDATE t SET word = 'words' WHERE id = 17")
        with pytest.raises(Hold, match="table t, key 17"):
            pipeline.copy()


def test_no_piece_makes_postgres_read_the_whole_table(postgres_dsn: str) -> None:
    """What is asked of the table before a COPY, in a table that was never analyzed, as one is while it is filled."""
    asked = compose("t", ["id"], ["bigint"], ["id"], ranged=True, number=1).range_taken
    assert asked
    with psycopg.connect(postgres_dsn, cursor_factory=psycopg.ClientCursor) as db:
        db.execute("CREATE TABLE t (id bigint PRIMARY KEY) WITH (autovacuum_enabled = false)")
        db.execute("INSERT INTO t SELECT generate_series(1, 50000)")
        plan = db.execute(sql.SQL("EXPLAIN ") + asked, (50_001, 57_000, 57_000)).fetchall()
    assert "Seq Scan" not in str(plan), plan


@pytest.mark.parametrize("value", [1.5, "12", b"12"], ids=["real", "text", "blob"])
def test_a_value_of_another_class_stops_a_copy_into_a_column_that_is_not_ours(
    tmp_path: Path, postgres_dsn: str, value: float | str | bytes
) -> None:
    """PostgreSQL would take each of them for an integer, and round the first: in a short piece it was asked to."""
    path = tmp_path / "app.db"
    with psycopg.connect(postgres_dsn) as db:
        db.execute("CREATE TABLE t (id bigint PRIMARY KEY, number bigint, word text)")
    with closing(application(path)), closing(InProcess(path, postgres_dsn, existing="match")) as pipeline:
        pipeline.relay.publish_schema()
        pipeline.drain()
        pipeline.replica.begin()
        with pytest.raises(Hold, match="table t"):
            pipeline.replica.copy_rows(Rows("t", [[1, 2], [1, value], ["a", "b"]]))
