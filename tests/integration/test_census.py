"""The census counts what columns hold, class by class, and finds the formats that all values share."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import capture.census
from capture.census import take_census
from capture.sqlite.readers import side_by_side
from shared.columns import choose_type
from shared.sqlite.catalog import read_schema
from shared.sqlite.connection import connect
from shared.tables import Column, Table


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture.census, "_STEP", 3)


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(tmp_path / "app.db")) as made:
        made.execute("CREATE TABLE other (id INTEGER PRIMARY KEY)")
    with closing(connect(tmp_path / "app.db")) as opened:
        yield opened


def census_of(
    db: sqlite3.Connection, declared: str, values: list[Any], table: str = "id INTEGER PRIMARY KEY"
) -> Column:
    db.execute(f"CREATE TABLE t ({table}, c {declared})")
    db.executemany("INSERT INTO t (c) VALUES (?)", [(value,) for value in values])
    return look(db).columns[1]


def look(db: sqlite3.Connection) -> Table:
    """By one reader; several find the same."""
    table = read_schema(db).table("t")
    found = take_census(db, table)
    [[_, _, path]] = db.execute("PRAGMA database_list")
    with side_by_side(Path(path)) as each:
        assert take_census(db, table, each) == found
    return found


def test_classes_are_counted_over_all_pieces(db: sqlite3.Connection) -> None:
    census = census_of(db, "", [1, 2, 3, 4, 1.5, "a", "b", b"x", None, None]).census
    assert (census.rows, census.nulls) == (10, 2)
    assert (census.integers, census.reals, census.texts, census.blobs) == (4, 1, 2, 1)


@pytest.mark.parametrize(
    ("declared", "values", "classes"),
    [
        ("INTEGER", [1, 2, None, 3], {"integers"}),
        ("INTEGER", [1, 2, 3, 4, 5, 6, 7, 1.5], {"integers", "reals"}),
        ("INTEGER", [1, 2, 3, 4, "n/a"], {"integers", "texts"}),
        ("INTEGER", [1, 2, 3, 4, ""], {"integers", "texts"}),
        ("INTEGER", [0, 1, 2, 3, b""], {"integers", "blobs"}),
        ("INTEGER", [1, 2, 3, 4, b"4"], {"integers", "blobs"}),
        ("INTEGER", [2**63 - 1, -(2**63), None, 3, 1e30], {"integers", "reals"}),
        ("INTEGER", [2**63 - 1, 1, 2, 3, float(2**63)], {"integers", "reals"}),
        ("REAL", [1.5, 2, 3, 4, 5, None], {"reals"}),
        ("REAL", [1.5, 2, 3, 4, 5, b"x"], {"reals", "blobs"}),
        ("TEXT", ["a", 1, 2.5, None], {"texts"}),
        ("TEXT", ["a", "b", "c", "d", b"x"], {"texts", "blobs"}),
        ("VARCHAR(9)", [], set()),
    ],
)
def test_what_is_unusual_for_a_declared_type_is_found(
    db: sqlite3.Connection, declared: str, values: list[Any], classes: set[str]
) -> None:
    census = census_of(db, declared, values).census
    assert {name for name in ("integers", "reals", "texts", "blobs") if getattr(census, name)} == classes


@pytest.mark.parametrize(
    ("declared", "values", "pg_type"),
    [
        ("BOOLEAN", [0, 1, None], "boolean"),
        ("BOOLEAN", [0, 1, 0, 1, 2], "bigint"),
        ("BOOLEAN", [], "boolean"),
        ("BOOLEAN", [0, 1, "yes"], "text"),
        ("DATETIME", ["2024-01-02 03:04:05", "2024-01-02 03:04:05.000001"], "timestamp"),
        ("DATETIME", ["2024-01-02 03:04:05", "2024-01-02T03:04:05"], "text"),
        ("DATETIME", ["2024-02-30 03:04:05"], "text"),
        ("DATETIME", ["2024-01-02T03:04:05Z"] * 5, "timestamptz"),
        ("DATETIME", ["2024-01-02T03:04:05+00:00", "2024-01-02T03:04:05+02:00"], "text"),
        ("DATETIME", [1_700_000_000], "bigint"),
        ("DATETIME", [1_700_000_000.5, 1], "numeric"),
        ("DATETIME", [], "text"),
        ("DATETIME", [None, None, None, None], "text"),
        ("DATE", ["2024-01-02", None, "1999-12-31"], "date"),
        ("DATE", ["2024-01-02", "2024-01-02 00:00:00"], "text"),
        ("TIME", ["03:04:05"], "text"),
        ("UUID", ["6ba7b810-9dad-11d1-80b4-00c04fd430c8"] * 4, "uuid"),
        ("UUID", ["6ba7b810-9dad-11d1-80b4-00c04fd430c8", "6BA7B810-9DAD-11D1-80B4-00C04FD430C8"], "text"),
        ("UUID", [b"0123456789abcdef"], "uuid"),
        ("CHAR(36)", ["6ba7b810-9dad-11d1-80b4-00c04fd430c8"], "text"),
        ("JSON", ['{"a": 1}', "[]", 5, 1.5, None], "json"),
        ("JSON", ['{"a": 1}', "{oops"], "text"),
        ("JSON", [], "json"),
        ("DECIMAL(10,2)", [1, 1.5, None], "numeric"),
        ("DECIMAL(10,2)", [1, 1.5, float("inf")], "text"),
        ("DECIMAL(10,2)", ["n/a"], "text"),
        ("NUMERIC", [], "numeric"),
        ("STRING", ["a", 7], "text"),
        ("STRING", [], "text"),
        ("BLOB", [], "bytea"),
        ("", [], "text"),
        ("", [1, 2], "bigint"),
        ("", [1.0, 2.5], "double precision"),
        ("", [1, 2.5], "numeric"),
        ("", ["a"], "text"),
        ("", [b"a"], "bytea"),
        ("", [b"a", 1], "text"),
    ],
)
def test_the_type_follows_from_declaration_and_census(
    db: sqlite3.Connection, declared: str, values: list[Any], pg_type: str
) -> None:
    column = census_of(db, declared, values)
    assert choose_type(look(db), column) == pg_type


def test_a_column_that_an_index_needs_is_not_json(db: sqlite3.Connection) -> None:
    column = census_of(db, "JSON UNIQUE", ["[]"])
    assert choose_type(look(db), column) == "text"


@pytest.mark.parametrize(
    ("declared", "spelling"), [("datetime", "time| |auto|"), ("DATETIME", "time| |6|")], ids=["Django", "SQLAlchemy"]
)
def test_six_digits_throughout_are_read_as_who_declares_so_writes_them(
    db: sqlite3.Connection, declared: str, spelling: str
) -> None:
    column = census_of(db, declared, ["2024-01-02 03:04:05.000006", "2024-01-02 03:04:05.678900"])
    assert column.census.formats == (spelling,)


def test_a_text_column_with_times_knows_their_spelling_for_who_wants_it(db: sqlite3.Connection) -> None:
    assert census_of(db, "TEXT", ["2024-01-02T03:04:05.678Z"] * 7).census.formats == ("time|T|3|Z",)


def test_a_table_with_a_composite_key_and_no_rowid_is_counted_whole(db: sqlite3.Connection) -> None:
    db.execute("CREATE TABLE t (b TEXT, a INTEGER, c, PRIMARY KEY (a, b)) WITHOUT ROWID")
    db.executemany("INSERT INTO t VALUES (?, ?, ?)", [(str(n % 4), n // 4, n) for n in range(20)])
    assert look(db).columns[2].census.integers == 20


def test_a_text_that_is_not_utf8_does_not_break_the_census(db: sqlite3.Connection) -> None:
    db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, c DATETIME, d UUID, e JSON)")
    db.execute("INSERT INTO t VALUES (1, CAST(x'ff' AS TEXT), CAST(x'ff' AS TEXT), CAST(x'ff' AS TEXT))")
    assert [column.census.formats for column in look(db).columns] == [(), (), (), ()]
