"""A column that was made for what it held takes what the application writes later, and every row keeps its value."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from inprocess import InProcess

from shared.errors import Hold
from shared.postgres.ledger import read_source_schema
from sink.postgres.replica import PostgresReplica

CASES: dict[str, tuple[str, list[Any], Any, str]] = {
    "a time without its fraction": (
        "DATETIME",
        ["2005-05-24 22:53:30.000", "0001-01-01 00:00:00.120", "9999-12-31 23:59:59.999"],
        "2005-05-24 22:53:30",
        "text",
    ),
    "a time in UTC without its mark": ("TIMESTAMP", ["2020-01-01T00:00:00.123456Z"], "2020-01-01T00:00:00", "text"),
    "a time of Python's that is no time": ("DATETIME", ["2020-01-01 00:00:00", "2020-01-01 00:00:00.5"], "soon", "text"),
    "a day that has an hour": ("DATE", ["2020-02-29", "0001-01-01"], "2020-01-01 10:00:00", "text"),
    "a time as seconds": ("DATETIME", ["2020-01-01 00:00:00", None], 1_577_836_800, "text"),
    "a 2 in a BOOLEAN": ("BOOLEAN", [0, 1, None], 2, "bigint"),
    "a text in a BOOLEAN": ("BOOLEAN", [0, 1, None], "yes", "text"),
    "a text in an INTEGER column": ("INTEGER", [1, -(2**63), 2**63 - 1, None], "n/a", "text"),
    "a fraction in an INTEGER column": ("INTEGER", [1, -(2**63), 2**63 - 1], 1.5, "numeric"),
    "a text in a DECIMAL": ("DECIMAL(10,2)", [1.5, 7, 1e300, 5e-324, 0.1], "n/a", "text"),
    "an infinite DECIMAL": ("DECIMAL(10,2)", [1.5, 7, 1e20], float("inf"), "text"),
    "a text in a REAL column": ("REAL", [0.1, 1e20, 1e16, 5e-324, float("inf"), 3.0], "n/a", "text"),
    "a BLOB in an INTEGER column": ("INTEGER", [1, 2], b"\x00\xff", "text"),
    "a BLOB in a TEXT column": ("TEXT", ["a", "'quoted'", "x'00'", "12", ""], b"\x00\xff", "text"),
    "a text in a BLOB column": ("BLOB", [b"", b"\x00\xff", b"12"], "text", "text"),
    "a number where texts were": ("", ["a", "12", "'12'", "1.5", "x'00'"], 12, "text"),
    "a text with NUL": ("TEXT", ["a", "'quoted'", "ü"], "a\0b", "bytea"),
    "no UUID": ("UUID", ["00112233-4455-6677-8899-aabbccddeeff"], "none", "text"),
    "no UUID among hex digits": ("UUID TEXT", ["00112233445566778899aabbccddeeff"], "none", "text"),
    "other bytes than a UUID's": ("UUID", [bytes(range(16))], b"short", "bytea"),
    "no JSON": ("JSON TEXT", ['{"a":  1}', "[1, 2 ]", '"12"'], "{oops", "text"),
}


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    return tmp_path


def application(path: Path, declared: str, values: list[Any]) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode=wal")
    db.execute(f"CREATE TABLE t (id INTEGER PRIMARY KEY, c {declared}, other TEXT)")
    db.execute("CREATE INDEX t_c ON t (c)")
    db.executemany("INSERT INTO t (c, other) VALUES (?, 'other')", [(value,) for value in values])
    return db


def type_of(dsn: str, column: str = "c") -> str:
    with psycopg.connect(dsn) as db:
        found = db.execute(
            "SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 't'::regclass AND attname = %s",
            (column,),
        ).fetchone()
    assert found
    return str(found[0])


@pytest.mark.parametrize("case", CASES)
def test_a_change_that_does_not_fit_widens_the_column(case: str, tmp_path: Path, postgres_dsn: str) -> None:
    declared, before, after, expected = CASES[case]
    path = tmp_path / "app.db"
    with closing(application(path, declared, before)) as app, closing(InProcess(path, postgres_dsn)) as pipeline:
        pipeline.copy()
        strict = type_of(postgres_dsn)
        assert pipeline.differences() == []
        app.execute("INSERT INTO t (c, other) VALUES (?, 'new')", (after,))
        pipeline.follow()
        assert pipeline.differences() == []
        assert type_of(postgres_dsn) == expected
        assert strict == expected or [f.code for f in pipeline.replica.findings] == ["column-widened"]
        pipeline.restart_sink()
        app.execute("UPDATE t SET c = ? WHERE id = 1", (after,))
        app.execute("INSERT INTO t (c, other) VALUES (?, 'new')", (before[0],))
        app.execute("DELETE FROM t WHERE id = 2")
        pipeline.follow()
        assert pipeline.differences() == []
