"""A table read chunk by chunk: every row once, in the order of its key, whatever the key is made of."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from capture.sqlite.chunks import CHUNK_BYTES, TableReader
from shared import wire
from shared.sqlite.catalog import read_schema
from shared.sqlite.connection import connect, fetch_rows, quote

TEXTS = ", ".join(["('a')", "('b')", "('é')", *(f"(CAST(x'{byte:02x}41' AS TEXT))" for byte in range(0xE0, 0x100))])
MIXED = "(1), (2.5), (x'ff'), ('z'), (CAST(x'ff41' AS TEXT)), (CAST(x'01ff' AS TEXT)), ('5')"


@pytest.mark.parametrize(
    ("ddl", "rows"),
    [
        ("CREATE TABLE t (k TEXT PRIMARY KEY) WITHOUT ROWID", TEXTS),
        ("CREATE TABLE t (k TEXT PRIMARY KEY)", TEXTS),
        ("CREATE TABLE t (k TEXT COLLATE NOCASE PRIMARY KEY) WITHOUT ROWID", TEXTS),
        ("CREATE TABLE t (k PRIMARY KEY) WITHOUT ROWID", MIXED),
        ("CREATE TABLE t (k NUMERIC PRIMARY KEY) WITHOUT ROWID", MIXED),
        ("CREATE TABLE t (k, n INTEGER DEFAULT 1, PRIMARY KEY (n, k)) WITHOUT ROWID", MIXED),
    ],
)
@pytest.mark.parametrize("limit", [1, 3, 1_000])
def test_every_row_is_read_once_also_behind_keys_that_are_not_utf8(
    tmp_path: Path, ddl: str, rows: str, limit: int
) -> None:
    path = tmp_path / "app.db"
    with closing(sqlite3.connect(path)) as made:
        made.executescript(f"{ddl}; INSERT INTO t (k) VALUES {rows};")
    with closing(connect(path)) as db:
        [table] = read_schema(db).tables
        names = ", ".join(map(quote, table.names))
        order = "k" if table.rowid_name == "" else "rowid"
        everything = fetch_rows(db, f"SELECT {names} FROM t ORDER BY {order}")
        assert _all(db, TableReader(table), limit) == everything


def test_rows_that_become_large_all_at_once_end_their_chunk(tmp_path: Path) -> None:
    path = tmp_path / "app.db"
    with closing(sqlite3.connect(path)) as made:
        made.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, b BLOB)")
        made.executemany("INSERT INTO t (b) VALUES (zeroblob(?))", [(10,)] * 20_000 + [(100_000,)] * 300)
        made.commit()
    with closing(connect(path)) as db:
        [table] = read_schema(db).tables
        chunk = TableReader(table).read(db, "", 100_000)
        assert CHUNK_BYTES <= sum(map(len, chunk.pieces)) < 2 * CHUNK_BYTES
        assert not chunk.done


def _all(db: sqlite3.Connection, reader: TableReader, limit: int) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = []
    after, done = "", False
    while not done:
        chunk = reader.read(db, after, limit)
        for piece in chunk.pieces:
            found += zip(*wire.decode_rows(piece).columns, strict=True)
        after, done = chunk.after, chunk.done
    return found
