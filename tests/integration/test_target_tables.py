"""Tables that Switchback makes: keys, identities, defaults, indexes and foreign keys as the source has them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from capture.census import take_census
from inprocess import InProcess
from shared.errors import BadInput
from shared.findings import Finding
from shared.postgres.connection import connect
from shared.sqlite.catalog import read_schema
from shared.sqlite.connection import connect as connect_sqlite
from shared.tables import Schema
from sink.postgres.target import create_tables, finish, finish_table


@pytest.fixture
def db(postgres_dsn: str) -> Iterator[psycopg.Connection[Any]]:
    with closing(connect(postgres_dsn, application_name="test")) as opened:
        opened.execute("SET session_replication_role = replica")
        yield opened


class Maker:
    """Makes the target's tables of a SQLite script."""

    def __init__(self, folder: Path, db: psycopg.Connection[Any]) -> None:
        self._path = folder / "app.db"
        self._db = db

    def schema(self, script: str) -> Schema:
        with closing(sqlite3.connect(self._path)) as app:
            app.executescript(script)
        with closing(connect_sqlite(self._path)) as source:
            return Schema(tuple(take_census(source, table) for table in read_schema(source).tables))

    def make(self, script: str, types: Mapping[str, str] | None = None, rows: str = "") -> list[Finding]:
        schema = self.schema(script)
        with self._db.transaction():
            made, found = create_tables(self._db, schema, types or {}, "refuse")
            if rows:
                self._db.execute(rows.encode())
            for table in schema.tables:
                found += finish_table(self._db, table)
            return [*found, *finish(self._db, schema, made)]


@pytest.fixture
def maker(tmp_path: Path, db: psycopg.Connection[Any]) -> Maker:
    return Maker(tmp_path, db)


def indexes(db: psycopg.Connection[Any], table: str = "t") -> dict[str, str]:
    rows = db.execute("SELECT indexname, indexdef FROM pg_indexes WHERE tablename = %s", (table,))
    return {name: text.split(" USING btree ")[1] for name, text in rows}


def test_an_integer_primary_key_is_an_identity_that_goes_on_behind_the_data(
    maker: Maker, db: psycopg.Connection[Any]
) -> None:
    maker.make("CREATE TABLE t (id INTEGER PRIMARY KEY, c TEXT)", rows="INSERT INTO t VALUES (41, 'a')")
    assert db.execute("INSERT INTO t (c) VALUES ('b') RETURNING id").fetchone() == (42,)


def test_a_composite_key_keeps_its_order(maker: Maker, db: psycopg.Connection[Any]) -> None:
    maker.make("CREATE TABLE t (a INTEGER, b TEXT, c TEXT, PRIMARY KEY (b, a))")
    assert indexes(db) == {"t_pkey": "(b, a)"}


def test_in_a_table_without_a_key_the_applications_columns_have_the_first_places(
    maker: Maker, db: psycopg.Connection[Any]
) -> None:
    """INSERT and COPY that name no columns mean those, as in SQLite."""
    maker.make("CREATE TABLE post_tag (post_id INTEGER, tag_id INTEGER)")
    db.execute("SET search_path = public, information_schema")
    places = db.execute("SELECT column_name FROM columns WHERE table_name = 'post_tag' ORDER BY ordinal_position")
    assert [name for (name,) in places] == ["post_id", "tag_id", "_switchback_rowid"]


def test_a_table_without_a_key_gets_the_rowid_as_its_key(maker: Maker, db: psycopg.Connection[Any]) -> None:
    maker.make("CREATE TABLE t (c TEXT)")
    assert indexes(db) == {"t_pkey": "(_switchback_rowid)"}


def test_not_null_is_kept_and_texts_sort_by_bytes(maker: Maker, db: psycopg.Connection[Any]) -> None:
    maker.make("CREATE TABLE t (id INTEGER PRIMARY KEY, c TEXT NOT NULL, d VARCHAR(9))", {"t.d": "varchar(9)"})
    db.execute("INSERT INTO t VALUES (1, 'a', 'b'), (2, 'B', 'a'), (3, 'é', 'C')")
    assert db.execute("SELECT string_agg(c, '' ORDER BY c), string_agg(d, '' ORDER BY d) FROM t").fetchone() == (
        "Baé",
        "Cab",
    )
    with pytest.raises(psycopg.errors.NotNullViolation):
        db.execute("INSERT INTO t (c) VALUES (NULL)")


@pytest.mark.parametrize(
    ("declared", "default", "value", "expected"),
    [
        ("INTEGER", "7", 1, 7),
        ("INTEGER", "-7", 1, -7),
        ("INTEGER", "'7'", 1, 7),
        ("INTEGER", "0x10", 1, 16),
        ("REAL", "1", 1.5, 1.0),
        ("BOOLEAN", "1", 0, True),
        ("BOOLEAN", "FALSE", 0, False),
        ("DECIMAL(10,2)", "9.99", 1, "9.99"),
        ("TEXT", "'it''s 100%: \\'", "a", "it's 100%: \\"),
        ("TEXT", '"word"', "a", "word"),
        ("TEXT", "5", "a", "5"),
        ("BLOB", "x'00ff'", b"a", b"\x00\xff"),
        ("DATE", "'2024-01-02'", "2000-01-01", "2024-01-02"),
        ("DATETIME", "'2024-01-02 03:04:05'", "2000-01-01 00:00:00", "2024-01-02 03:04:05"),
        ("UUID", "'6ba7b810-9dad-11d1-80b4-00c04fd430c8'", None, "6ba7b810-9dad-11d1-80b4-00c04fd430c8"),
        ("JSON", "'{}'", "[]", "{}"),
    ],
)
def test_a_constant_default_is_the_same_value(
    maker: Maker, db: psycopg.Connection[Any], declared: str, default: str, value: Any, expected: Any
) -> None:
    literal = f"x'{value.hex()}'" if isinstance(value, bytes) else "NULL" if value is None else repr(value)
    script = f"CREATE TABLE t (id INTEGER PRIMARY KEY, c {declared} DEFAULT {default});"
    assert maker.make(f"{script} INSERT INTO t (c) VALUES ({literal})") == []
    row = db.execute("INSERT INTO t (id) VALUES (9) RETURNING c").fetchone()
    assert row
    assert row[0] == expected or str(row[0]) == expected


@pytest.mark.parametrize(
    ("column", "value", "shape"),
    [
        ("c DATETIME DEFAULT CURRENT_TIMESTAMP", "'2000-01-01 00:00:00'", r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$"),
        ("c TEXT DEFAULT CURRENT_TIMESTAMP", "'a'", r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$"),
        ("c TEXT DEFAULT (datetime('now'))", "'a'", r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$"),
        ("c TEXT DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))", "'a'", r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"),
        ("c DATE DEFAULT CURRENT_DATE", "'2000-01-01'", r"^\d{4}-\d\d-\d\d$"),
        ("c TEXT DEFAULT CURRENT_TIME", "'a'", r"^\d\d:\d\d:\d\d$"),
        ("c INTEGER DEFAULT (strftime('%s', 'now'))", "1", r"^\d{10}$"),
        ("c INTEGER DEFAULT (unixepoch())", "1", r"^\d{10}$"),
        ("c TEXT DEFAULT (lower(hex(randomblob(16))))", "'a'", r"^[0-9a-f]{32}$"),
    ],
)
def test_the_current_time_and_random_ids_are_spelled_as_in_sqlite(
    maker: Maker, db: psycopg.Connection[Any], column: str, value: str, shape: str
) -> None:
    found = maker.make(f"CREATE TABLE t (id INTEGER PRIMARY KEY, {column}); INSERT INTO t VALUES (1, {value})")
    assert found == []
    assert db.execute("INSERT INTO t (id) VALUES (9) RETURNING c::text ~ %s", (shape,)).fetchone() == (True,)


def test_a_default_that_must_be_computed_is_reported(maker: Maker) -> None:
    [finding] = maker.make("CREATE TABLE t (id INTEGER PRIMARY KEY, c INTEGER DEFAULT (abs(-1) + random()))")
    assert (finding.code, finding.where) == ("default-left-out", "table t, column c")


def test_indexes_come_over_with_their_order_uniqueness_and_condition(maker: Maker, db: psycopg.Connection[Any]) -> None:
    found = maker.make(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT UNIQUE, b TEXT, n INTEGER, f BOOLEAN);"
        "CREATE INDEX one ON t (b, n DESC);"
        "CREATE UNIQUE INDEX two ON t (b) WHERE f = 0 AND a IS NOT NULL AND n >= 5;"
        "CREATE INDEX three ON t (n) WHERE b IN ('x', 'it''s') AND n != 3;"
        "CREATE UNIQUE INDEX four ON t (b COLLATE NOCASE, n);"
    )
    assert found == []
    assert indexes(db) == {
        "t_pkey": "(id)",
        "t_a_key": "(a)",
        "one": "(b, n DESC)",
        "two": "(b) WHERE ((f = false) AND (a IS NOT NULL) AND (n >= 5))",
        "three": """(n) WHERE ((b = ANY (ARRAY['x'::text, 'it''s'::text])) AND (n <> 3))""",
        "four": '(lower((b COLLATE "C")), n)',
    }


@pytest.mark.parametrize("condition", ["length(b) > 3", "n > 1 OR n < 0", "b LIKE 'a%'", "n = NULL", "n = 'abc'"])
def test_a_condition_that_might_mean_something_else_is_not_guessed_at(maker: Maker, condition: str) -> None:
    script = "CREATE TABLE t (id INTEGER PRIMARY KEY, b TEXT, n INTEGER);"
    [finding] = maker.make(f"{script} CREATE UNIQUE INDEX part ON t (b) WHERE {condition}")
    assert (finding.level, finding.code) == ("warn", "unique-index-left-out")


def test_an_index_on_an_expression_is_reported(maker: Maker) -> None:
    script = "CREATE TABLE t (id INTEGER PRIMARY KEY, b TEXT); CREATE INDEX low ON t (lower(b))"
    [finding] = maker.make(script)
    assert (finding.level, finding.code, finding.where) == ("note", "index-left-out", "table t, index low")


def test_a_key_that_ignores_case_is_unique_without_case_in_postgres_too(
    maker: Maker, db: psycopg.Connection[Any]
) -> None:
    maker.make("CREATE TABLE t (name TEXT PRIMARY KEY COLLATE NOCASE) WITHOUT ROWID")
    db.execute("INSERT INTO t VALUES ('Joe')")
    with pytest.raises(psycopg.errors.UniqueViolation):
        db.execute("INSERT INTO t VALUES ('JOE')")


def test_index_names_that_postgres_would_cut_or_that_are_taken_stay_apart(
    maker: Maker, db: psycopg.Connection[Any]
) -> None:
    long = "i" * 70
    db.execute("CREATE TABLE occupied (id int); CREATE INDEX taken ON occupied (id)")
    maker.make(
        f"CREATE TABLE t (id INTEGER PRIMARY KEY, a, b); CREATE INDEX {long}1 ON t (a);"
        f"CREATE INDEX {long}2 ON t (b); CREATE INDEX taken ON t (a, b)"
    )
    assert sorted(indexes(db).values()) == ["(a)", "(a, b)", "(b)", "(id)"]
    assert all(len(name) <= 63 for name in indexes(db))


def test_a_table_name_that_postgres_would_cut_is_refused(maker: Maker) -> None:
    with pytest.raises(BadInput, match="longer than PostgreSQL's 63 bytes"):
        maker.make(f"CREATE TABLE {'t' * 64} (id INTEGER PRIMARY KEY)")


def test_odd_names_are_quoted(maker: Maker, db: psycopg.Connection[Any]) -> None:
    script = 'CREATE TABLE "order ""%s"" {x}" ("select" INTEGER PRIMARY KEY, "a:b" TEXT DEFAULT \'x\', "%(c)s%%" TEXT)'
    assert maker.make(script) == []
    row = db.execute("""SELECT array_agg(attname ORDER BY attnum) FROM pg_attribute
                        WHERE attnum > 0 AND attrelid = '"order ""%s"" {x}"'::regclass""")
    assert row.fetchone() == (["select", "a:b", "%(c)s%%"],)


def test_foreign_keys_come_with_their_actions(maker: Maker, db: psycopg.Connection[Any]) -> None:
    found = maker.make(
        "CREATE TABLE p (id INTEGER PRIMARY KEY);"
        "CREATE TABLE c (id INTEGER PRIMARY KEY, p INTEGER REFERENCES p ON DELETE CASCADE ON UPDATE SET NULL,"
        " q INTEGER REFERENCES p DEFERRABLE INITIALLY DEFERRED)"
    )
    rows = db.execute("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'f' ORDER BY conname")
    assert [text for (text,) in rows] == [
        "FOREIGN KEY (p) REFERENCES p(id) ON UPDATE SET NULL ON DELETE CASCADE DEFERRABLE",
        "FOREIGN KEY (q) REFERENCES p(id) DEFERRABLE INITIALLY DEFERRED",
    ]
    assert found == []


def test_a_foreign_key_that_the_data_violate_holds_for_new_rows_alone(
    maker: Maker, db: psycopg.Connection[Any]
) -> None:
    script = "CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE c (id INTEGER PRIMARY KEY, p INTEGER REFERENCES p)"
    [finding] = maker.make(script, rows="INSERT INTO c VALUES (1, 99)")
    assert finding.code == "foreign-key-not-valid"
    assert db.execute("SELECT convalidated FROM pg_constraint WHERE contype = 'f'").fetchone() == (False,)


def test_a_foreign_key_whose_types_do_not_fit_is_reported(maker: Maker) -> None:
    script = "CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE c (id INTEGER PRIMARY KEY, p TEXT REFERENCES p)"
    [finding] = maker.make(script)
    assert finding.code == "foreign-key-left-out"


def test_without_the_right_to_silence_cascades_foreign_keys_are_left_out_and_said(
    maker: Maker, db: psycopg.Connection[Any]
) -> None:
    db.execute("SET session_replication_role = origin")
    script = "CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE c (id INTEGER PRIMARY KEY, p INTEGER REFERENCES p)"
    [finding] = maker.make(script)
    assert finding.code == "foreign-keys-left-out"


def test_an_override_is_used_and_one_that_is_no_type_is_refused(maker: Maker, db: psycopg.Connection[Any]) -> None:
    script = "CREATE TABLE t (id INTEGER PRIMARY KEY, c TEXT)"
    with pytest.raises(BadInput, match="type money is none"):
        maker.make(script, {"t.c": "money"})
    maker.make("SELECT 1", {"t.c": "TIMESTAMP WITH TIME ZONE"})
    row = db.execute("SELECT atttypid::regtype::text FROM pg_attribute WHERE attrelid = 't'::regclass AND attnum = 2")
    assert row.fetchone() == ("timestamp with time zone",)


def test_a_percent_sign_in_names_does_not_disturb_statements(tmp_path: Path, postgres_dsn: str) -> None:
    with closing(sqlite3.connect(tmp_path / "odd.db", isolation_level=None)) as app:
        app.execute('CREATE TABLE "100%" ("%s" INTEGER PRIMARY KEY, "50%%" TEXT)')
        app.execute("INSERT INTO \"100%\" VALUES (1, 'a')")
        with closing(InProcess(tmp_path / "odd.db", postgres_dsn)) as pipeline:
            pipeline.copy()
            app.execute("INSERT INTO \"100%\" VALUES (2, 'b')")
            app.execute('UPDATE "100%" SET "50%%" = \'c\' WHERE "%s" = 1')
            pipeline.follow()
            app.execute('DELETE FROM "100%" WHERE "%s" = 2')
            app.executemany('INSERT INTO "100%" VALUES (?, ?)', [(number, "many") for number in range(10, 100)])
            pipeline.follow()
            assert pipeline.differences() == []
