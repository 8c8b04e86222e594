"""The door to SQLite: what is wrong with a file is said in one clear line, and nothing is made or changed."""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from pathlib import Path

import pytest

from replay import Captured
from shared.errors import BadInput, Retry, Stop
from shared.groups import RawText
from shared.sqlite.connection import (
    FileIdentity,
    connect,
    fetch_rows,
    fetch_within,
    quote,
    reading,
    same_file,
    translated,
    writing,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "a db?#%20.sqlite"
    with sqlite3.connect(file) as db:
        db.execute("CREATE TABLE t (a)")
    db.close()
    return file


def test_a_missing_file_is_named_and_not_made(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no such file"):
        connect(tmp_path / "missing.db")
    assert list(tmp_path.iterdir()) == []


def test_a_directory_is_no_database(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="directory"):
        connect(tmp_path)


def test_an_empty_file_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "empty.db").touch()
    with pytest.raises(BadInput, match="empty"):
        connect(tmp_path / "empty.db")


@pytest.mark.parametrize("head", [b"", b"SQLite format 3\0"], ids=["random", "with the usual head"])
def test_random_bytes_are_no_database_or_encrypted(tmp_path: Path, head: bytes) -> None:
    (tmp_path / "noise.db").write_bytes(head + bytes(range(37, 256)) * 40)
    with pytest.raises(BadInput, match=r"not a SQLite database, or it is encrypted|damaged"):
        connect(tmp_path / "noise.db")


def test_a_damaged_schema_is_said_to_be_damaged(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[100:200] = b"\xff" * 100
    path.write_bytes(content)
    with pytest.raises(BadInput, match="damaged"):
        connect(path)


def test_a_damaged_table_stops(tmp_path: Path) -> None:
    file = tmp_path / "torn.db"
    db = sqlite3.connect(file)
    db.execute("CREATE TABLE t (a)")
    db.executemany("INSERT INTO t VALUES (?)", [("x" * 500,)] * 500)
    db.commit()
    db.close()
    content = bytearray(file.read_bytes())
    content[4096:] = b"\xee" * (len(content) - 4096)
    file.write_bytes(content)
    db = connect(file)
    with pytest.raises(Stop, match="damaged"), translated(file):
        db.execute("SELECT count(a) FROM t").fetchone()
    db.close()


def test_a_read_only_connection_refuses_to_write(path: Path) -> None:
    db = connect(path, readonly=True)
    with pytest.raises(BadInput, match="cannot be written"), translated(path):
        db.execute("INSERT INTO t VALUES (1)")
    db.close()


def test_a_lock_that_is_held_for_long_is_worth_another_try(path: Path) -> None:
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(Retry, match="locked"):
        connect(path, busy_seconds=0.05)
    other.execute("ROLLBACK")
    connect(path, busy_seconds=0.05).close()
    other.close()


def test_a_writer_at_work_does_not_keep_us_from_connecting(path: Path) -> None:
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    connect(path, busy_seconds=0.05).close()
    other.close()


@pytest.mark.parametrize("mode", ["wal", "delete", "truncate", "persist"])
def test_the_journal_mode_stays_as_it_is(path: Path, mode: str) -> None:
    with sqlite3.connect(path) as other:
        other.execute(f"PRAGMA journal_mode = {mode}")
    db = connect(path)
    with writing(db):
        db.execute("INSERT INTO t VALUES (1)")
    with reading(db):
        assert fetch_rows(db, "SELECT a FROM t") == [(1,)]
    db.close()
    other.close()
    again = sqlite3.connect(path)
    assert again.execute("PRAGMA journal_mode").fetchone()[0] in (mode, "delete")  # only wal is kept in the file
    again.close()


def test_without_wal_a_finished_read_does_not_keep_the_application_waiting(path: Path) -> None:
    app = sqlite3.connect(path, isolation_level=None, timeout=0)
    db = connect(path)
    with reading(db):
        fetch_rows(db, "SELECT a FROM t")
    app.execute("INSERT INTO t VALUES (1)")
    with reading(db):
        fetch_rows(db, "SELECT a FROM t")
        with pytest.raises(sqlite3.OperationalError):
            app.execute("INSERT INTO t VALUES (2)")
    db.close()
    app.close()


def test_reading_sees_one_state(path: Path) -> None:
    with sqlite3.connect(path) as other:
        other.execute("PRAGMA journal_mode = wal")
    db, app = connect(path), sqlite3.connect(path, isolation_level=None)
    with reading(db):
        assert fetch_rows(db, "SELECT count(*) FROM t") == [(0,)]
        app.execute("INSERT INTO t VALUES (1)")
        assert fetch_rows(db, "SELECT count(*) FROM t") == [(0,)]
    assert fetch_rows(db, "SELECT count(*) FROM t") == [(1,)]
    for connection in (db, app, other):
        connection.close()


def test_a_failed_write_is_rolled_back(path: Path) -> None:
    db = connect(path)
    with suppress(KeyError), writing(db):
        db.execute("INSERT INTO t VALUES (1)")
        raise KeyError
    assert fetch_rows(db, "SELECT a FROM t") == []
    assert not db.in_transaction
    db.close()


def test_texts_that_are_not_utf8_are_fetched_raw(path: Path) -> None:
    db = connect(path)
    db.execute("INSERT INTO t VALUES (CAST(x'ff' AS TEXT)), ('é'), (x'ff')")
    assert fetch_rows(db, "SELECT a FROM t") == [(RawText(b"\xff"),), ("é",), (b"\xff",)]
    assert fetch_rows(db, "SELECT 'plain' AS a") == [("plain",)]
    db.close()


def test_fetching_stops_at_so_many_bytes_but_not_before_the_first_row(path: Path) -> None:
    db = connect(path)
    db.execute("INSERT INTO t VALUES (zeroblob(1000)), (zeroblob(1000)), (zeroblob(1000))")
    assert [len(fetch_within(db, "SELECT a FROM t", (), most)[0]) for most in (1, 1500, 10_000)] == [1, 2, 3]
    assert [fetch_within(db, "SELECT a FROM t", (), most)[1] for most in (1, 10_000)] == [False, True]
    db.close()


def test_fetching_notices_soon_that_rows_have_become_large(path: Path) -> None:
    db = connect(path)
    db.executemany("INSERT INTO t VALUES (zeroblob(?))", [(10,)] * 1_000 + [(50_000,)] * 500)
    rows, _ = fetch_within(db, "SELECT a FROM t", (), 1_000_000)
    assert sum(len(blob) for (blob,) in rows) < 5_000_000
    db.close()


def test_another_file_under_the_same_path_is_noticed(path: Path) -> None:
    identity = FileIdentity.of(path)
    assert same_file(path, identity)
    copy = path.with_name("copy")
    copy.write_bytes(path.read_bytes())
    copy.replace(path)
    assert not same_file(path, identity)
    path.unlink()
    assert not same_file(path, identity)


def test_quoted_names_are_read_as_they_are(tmp_path: Path) -> None:
    name = 'o\'dd "name" [x] `y`; -- ö'
    source = Captured(tmp_path / "s.db", f"CREATE TABLE {quote(name)} (a)")
    assert [table.name for table in source.schema.tables] == [name]
    source.app.close()
    source.ours.close()


def test_any_other_complaint_of_sqlite_stops(path: Path) -> None:
    db = connect(path)
    with pytest.raises(Stop, match="no such table"), translated(path):
        db.execute("SELECT 1 FROM nowhere")
    db.close()
