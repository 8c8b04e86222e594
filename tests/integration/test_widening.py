"""A column that was made for what it held takes what the application writes later, and every row keeps its value."""

from __future__ import annotations

import random
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from comparing import past_the_fence
from inprocess import InProcess
from shared.errors import Hold
from shared.groups import Change
from sink.batch import collapse
from verifying import Pair

CASES: dict[str, tuple[str, list[Any], Any, str]] = {
    "a time without its fraction": (
        "DATETIME",
        ["2005-05-24 22:53:30.000", "0001-01-01 00:00:00.120", "9999-12-31 23:59:59.999"],
        "2005-05-24 22:53:30",
        "text",
    ),
    "a time in UTC without its mark": ("TIMESTAMP", ["2020-01-01T00:00:00.123456Z"], "2020-01-01T00:00:00", "text"),
    "a time of Python's that is no time": (
        "DATETIME",
        ["2020-01-01 00:00:00", "2020-01-01 00:00:00.5"],
        "soon",
        "text",
    ),
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


def application(path: Path, declared: str, values: list[Any], ddl: str = "") -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode=wal")
    db.execute(f"CREATE TABLE t (id INTEGER PRIMARY KEY, c {declared}, other TEXT)")
    db.execute(
        "CREATE INDEX t_other ON t (other, c)" if "JSON" not in declared else "CREATE INDEX t_other ON t (other)"
    )
    db.executescript(ddl)
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


def indexes_of(dsn: str) -> set[str]:
    with psycopg.connect(dsn) as db:
        return {name for (name,) in db.execute("SELECT indexname FROM pg_indexes WHERE tablename = 't'")}


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
        assert "t_other" in indexes_of(postgres_dsn)
        pipeline.restart_sink()
        app.execute("UPDATE t SET c = ? WHERE id = 1", (after,))
        app.execute("INSERT INTO t (c, other) VALUES (?, 'new')", (before[0],))
        app.execute("DELETE FROM t WHERE id = 2")
        pipeline.follow()
        assert pipeline.differences() == []


@pytest.mark.parametrize("case", list(CASES)[::4])
def test_a_snapshot_that_does_not_fit_widens_the_column(case: str, tmp_path: Path, postgres_dsn: str) -> None:
    """The value comes after the census, and so early that the first chunk carries it."""
    declared, before, after, _ = CASES[case]
    path = tmp_path / "app.db"
    with closing(application(path, declared, before * 40)) as app, closing(InProcess(path, postgres_dsn)) as pipeline:
        pipeline.relay.publish_schema()
        app.execute("INSERT INTO t (id, c) VALUES (-5, ?)", (after,))
        app.execute("UPDATE t SET c = ? WHERE id = 70", (after,))
        pipeline.copy()
        assert pipeline.differences() == []
        pipeline.restart_sink()
        app.execute("INSERT INTO t (c) VALUES (?)", (after,))
        pipeline.follow()
        assert pipeline.differences() == []


def test_texts_that_only_the_copy_finds_unfit_widen_the_column(tmp_path: Path, postgres_dsn: str) -> None:
    """The census does not look for NUL; PostgreSQL refuses the COPY."""
    path = tmp_path / "app.db"
    values = [f"text {n}" for n in range(70)] + ["a\0b"] + [f"text {n}" for n in range(70)]
    with closing(application(path, "TEXT", values)) as app, closing(InProcess(path, postgres_dsn)) as pipeline:
        app.execute("INSERT INTO t (c) VALUES (CAST(x'ff41' AS TEXT))")
        pipeline.copy()
        with psycopg.connect(postgres_dsn) as db:
            assert db.execute("SELECT count(*), count(DISTINCT c) FROM t").fetchone() == (142, 72)
            assert db.execute("SELECT c FROM t WHERE id = 71").fetchone() == (b"a\0b",)
            assert db.execute("SELECT c FROM t WHERE id = 142").fetchone() == (b"\xffA",)


class Crash(Exception):
    """The sink's process is gone."""


@pytest.mark.parametrize("at", ["advance", "commit"])
@pytest.mark.parametrize("during", ["copy", "changes"])
def test_a_crash_with_a_column_half_widened_loses_nothing(
    at: str, during: str, tmp_path: Path, postgres_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "app.db"
    with closing(application(path, "BOOLEAN", [0, 1] * 60)) as app, closing(InProcess(path, postgres_dsn)) as pipeline:
        if during == "changes":
            pipeline.copy()
        else:
            pipeline.relay.publish_schema()
            pipeline.drain()
        app.execute("UPDATE t SET c = 'both' WHERE id = 1")

        def crash(*_: object) -> None:
            pipeline.replica.close()
            raise Crash

        monkeypatch.setattr(pipeline.replica, at, crash)
        with pytest.raises(Crash):
            pipeline.follow() if during == "changes" else pipeline.copy()
        assert type_of(postgres_dsn) == "boolean"
        pipeline.restart_sink()
        pipeline.drain()
        pipeline.restart_capture()
        pipeline.copy()
        assert type_of(postgres_dsn) == "text"
        assert pipeline.differences() == []


def test_a_group_that_is_abandoned_takes_its_widening_back(tmp_path: Path, postgres_dsn: str) -> None:
    path = tmp_path / "app.db"
    with closing(application(path, "BOOLEAN", [0, 1])) as app, closing(InProcess(path, postgres_dsn)) as pipeline:
        pipeline.copy()
        replica = pipeline.replica
        replica.begin()
        rows = collapse(pipeline.schema, [Change("t", "c", 1, 1, (9, "both", None))])
        replica.write_batch(rows)
        replica.rollback()
        assert type_of(postgres_dsn) == "boolean"
        app.execute("INSERT INTO t (c) VALUES (1)")
        pipeline.follow()
        assert (type_of(postgres_dsn), pipeline.differences()) == ("boolean", [])
        app.execute("INSERT INTO t (c) VALUES (2)")
        pipeline.follow()
        assert (type_of(postgres_dsn), pipeline.differences()) == ("bigint", [])


def test_several_columns_and_a_large_transaction_in_pieces(tmp_path: Path, postgres_dsn: str) -> None:
    path = tmp_path / "app.db"
    ddl = "ALTER TABLE t ADD COLUMN d DATETIME; ALTER TABLE t ADD COLUMN e INTEGER DEFAULT 7;"
    ddl += "UPDATE t SET d = '2020-01-01 00:00:00', e = id;"
    with (
        closing(application(path, "BOOLEAN", [0, 1] * 200, ddl)) as app,
        closing(InProcess(path, postgres_dsn, batch_changes=100)) as pipeline,
    ):
        pipeline.copy()
        app.execute("BEGIN")
        for row in range(1, 401):
            app.execute("UPDATE t SET c = ?, d = ?, e = ? WHERE id = ?", odd_values(row))
        app.execute("COMMIT")
        pipeline.follow()
        assert pipeline.differences() == []
        assert [type_of(postgres_dsn, name) for name in "cde"] == ["bigint", "text", "text"]
        app.execute("UPDATE t SET c = 'x', d = 5, e = 1.5")
        pipeline.follow()
        assert pipeline.differences() == []


def odd_values(row: int) -> tuple[Any, ...]:
    time = "2021-01-01" if row == 150 else "2021-01-01 00:00:00"
    return (row % 3, time, "n/a" if row == 399 else row, row)


def test_a_key_is_widened_and_its_foreign_key_dropped_and_reported(tmp_path: Path, postgres_dsn: str) -> None:
    path = tmp_path / "app.db"
    ddl = """
        CREATE TABLE parent (a INTEGER, b TEXT, PRIMARY KEY (a, b)) WITHOUT ROWID;
        CREATE TABLE child (id INTEGER PRIMARY KEY, a INTEGER, b TEXT, FOREIGN KEY (a, b) REFERENCES parent (a, b));
        INSERT INTO parent VALUES (1, 'x'), (2, 'y');
        INSERT INTO child VALUES (1, 1, 'x'), (2, 2, 'y');
    """
    with closing(application(path, "TEXT", [], ddl)) as app, closing(InProcess(path, postgres_dsn)) as pipeline:
        pipeline.copy()
        app.executescript("INSERT INTO parent VALUES ('one', 'x'); INSERT INTO child VALUES (3, 'one', 'x');")
        pipeline.follow()
        app.executescript("DELETE FROM parent WHERE a = 2; UPDATE parent SET a = 'two' WHERE a = 1")
        pipeline.follow()
        assert pipeline.differences() == []
        codes = [finding.code for finding in pipeline.replica.findings]
        assert sorted(codes) == ["column-widened", "column-widened", "foreign-key-dropped"]


def test_a_default_follows_the_type(tmp_path: Path, postgres_dsn: str) -> None:
    path = tmp_path / "app.db"
    declared = "DATETIME DEFAULT CURRENT_TIMESTAMP"
    with closing(application(path, declared, ["2020-01-01 00:00:00"])) as app:
        with closing(InProcess(path, postgres_dsn)) as pipeline:
            pipeline.copy()
            app.execute("INSERT INTO t (c) VALUES ('soon')")
            pipeline.follow()
            with past_the_fence(postgres_dsn) as db:
                row = db.execute("INSERT INTO t (id) VALUES (99) RETURNING c").fetchone()
        assert row
        assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", row[0])


def test_a_view_that_reads_the_column_holds_the_stream_until_it_is_dropped(tmp_path: Path, postgres_dsn: str) -> None:
    path = tmp_path / "app.db"
    with closing(application(path, "BOOLEAN", [0, 1])) as app, closing(InProcess(path, postgres_dsn)) as pipeline:
        pipeline.copy()
        with psycopg.connect(postgres_dsn, autocommit=True) as db:
            db.execute("CREATE VIEW v AS SELECT c FROM t")
            app.execute("INSERT INTO t (c) VALUES (2)")
            with pytest.raises(Hold, match="view"):
                pipeline.follow()
            db.execute("DROP VIEW v")
        pipeline.restart_sink()
        pipeline.drain()
        assert pipeline.differences() == []


def test_a_table_that_was_there_is_never_altered(tmp_path: Path, postgres_dsn: str) -> None:
    path = tmp_path / "app.db"
    with psycopg.connect(postgres_dsn, autocommit=True) as db:
        db.execute("CREATE TABLE t (id bigint PRIMARY KEY, c boolean, other text)")
    with closing(application(path, "BOOLEAN", [0, 1])) as app, closing(InProcess(path, postgres_dsn)) as pipeline:
        pipeline.copy()
        app.execute("INSERT INTO t (c) VALUES (2)")
        with pytest.raises(Hold, match="table t, key 3, column c"):
            pipeline.follow()
        assert type_of(postgres_dsn) == "boolean"


def test_rows_of_one_piece_do_not_come_back_with_a_later_one(tmp_path: Path, postgres_dsn: str) -> None:
    """A piece that meets a constraint must not leave the staging table of the piece before it full."""
    path = tmp_path / "app.db"
    ddl = "CREATE TABLE u (id INTEGER PRIMARY KEY, code INTEGER UNIQUE);"
    with (
        closing(application(path, "TEXT", [], ddl)) as app,
        closing(InProcess(path, postgres_dsn, batch_changes=100)) as pipeline,
    ):
        app.executemany("INSERT INTO u VALUES (?, ?)", [(n, n) for n in range(1, 301)])
        pipeline.copy()
        app.execute("BEGIN")
        app.executemany("UPDATE u SET code = ? WHERE id = ?", [(1_000 + n, n) for n in range(1, 101)])
        app.executemany("UPDATE u SET code = ? WHERE id = ?", [(-n, n) for n in range(101, 151)])
        app.executemany("UPDATE u SET code = ? WHERE id = ?", [(n, 251 - n) for n in range(101, 151)])
        app.executemany("DELETE FROM u WHERE id = ?", [(n,) for n in range(1, 51)])
        app.executemany("UPDATE u SET code = ? WHERE id = ?", [(2_000 + n, n) for n in range(201, 251)])
        app.execute("COMMIT")
        pipeline.follow()
        assert pipeline.differences() == []


def test_verification_reads_a_widened_column_by_its_new_type(tmp_path: Path, postgres_dsn: str) -> None:
    with closing(Pair(tmp_path, postgres_dsn)) as pair:
        pair.write("UPDATE person SET visits = 'often', score = 'high' WHERE id % 7 = 0")
        pair.write("INSERT INTO line VALUES ('last', 1.5, x'00')")
        pair.follow()
        assert pair.verify().findings == []
        pair.tamper("UPDATE person SET visits = '''7''' WHERE id = 7")
        [finding] = pair.verify().findings
        assert (finding.column, finding.key) == ("visits", "7")


def test_an_index_with_a_condition_on_the_column_is_made_for_the_new_type(tmp_path: Path, postgres_dsn: str) -> None:
    path = tmp_path / "app.db"
    ddl = "CREATE INDEX t_on ON t (other) WHERE c = 1; CREATE UNIQUE INDEX t_one ON t (id) WHERE c = 0;"
    with closing(application(path, "BOOLEAN", [0, 1], ddl)) as app, closing(InProcess(path, postgres_dsn)) as pipeline:
        pipeline.copy()
        made = indexes_of(postgres_dsn)
        assert made >= {"t_other", "t_on", "t_one"}
        with psycopg.connect(postgres_dsn, autocommit=True) as db:
            db.execute("CREATE INDEX by_hand ON t (id) WHERE c")
        app.execute("INSERT INTO t (c) VALUES (2)")
        pipeline.follow()
        assert pipeline.differences() == []
        assert indexes_of(postgres_dsn) == made
        told = {finding.code: finding.what for finding in pipeline.replica.findings}
        assert sorted(told) == ["column-widened", "index-dropped"]
        assert "by_hand" in told["index-dropped"]


@pytest.mark.parametrize("rows", [1, 100])
def test_a_value_too_long_for_an_index_costs_the_index_and_not_the_stream(
    rows: int, tmp_path: Path, postgres_dsn: str
) -> None:
    path = tmp_path / "app.db"
    ddl = "CREATE UNIQUE INDEX t_c ON t (c);"
    with closing(application(path, "TEXT", ["a", "b"], ddl)) as app, closing(InProcess(path, postgres_dsn)) as pipeline:
        pipeline.copy()
        texts = [(random.Random(n).randbytes(5_000).hex(),) for n in range(rows)]
        app.executemany("INSERT INTO t (c) VALUES (?)", texts)
        pipeline.follow()
        assert pipeline.differences() == []
        assert not indexes_of(postgres_dsn) & {"t_c", "t_other"}
        assert {finding.code for finding in pipeline.replica.findings} == {"index-dropped"}
