"""Columns that have other types in PostgreSQL are compared in SQLite's values, and to the last digit of both."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from verifying import Pair

TYPED = """
CREATE TABLE typed (
    id INTEGER PRIMARY KEY, at DATETIME, zoned TIMESTAMP, day DATE, price DECIMAL(10, 2), flag BOOLEAN,
    uid UUID, doc JSON, mixed, packed
);
INSERT INTO typed VALUES
    (1, '2024-01-02 03:04:05', '2024-01-02T03:04:05.678Z', '2024-01-02', 12.5, 1,
     '6ba7b810-9dad-11d1-80b4-00c04fd430c8', '{"a":  1, "a": 2}', 1, 1),
    (2, '2024-06-02 03:04:05', '2024-06-02T03:04:05.600Z', '1999-12-31', 12, 0,
     '00000000-0000-0000-0000-000000000000', '[ ]', 1.0, 1.0),
    (3, '2024-06-02 03:04:06', '2024-06-02T03:04:05.001Z', '1999-12-31', 0.1, 0,
     '00000000-0000-0000-0000-000000000001', '""', 'text', x'00ff'),
    (4, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
CREATE TABLE by_uuid (uid UUID PRIMARY KEY, n INTEGER);
INSERT INTO by_uuid SELECT uid, id FROM typed WHERE id < 4;
CREATE TABLE by_time (at DATETIME, price DECIMAL(10, 2), n INTEGER, PRIMARY KEY (at, price)) WITHOUT ROWID;
INSERT INTO by_time SELECT at, price, id FROM typed WHERE id < 4;
CREATE TABLE by_blob (id BLOB PRIMARY KEY, n INTEGER);
INSERT INTO by_blob VALUES (x'', 0), (x'00', 1), (x'ff', 2);
"""


@pytest.fixture
def pair(tmp_path: Path, postgres_dsn: str) -> Iterator[Pair]:
    pair = Pair(tmp_path, postgres_dsn, rows=3, more=TYPED)
    yield pair
    pair.close()


def test_the_tables_have_the_types_that_this_is_about(pair: Pair) -> None:
    with psycopg.connect(pair.dsn) as db:
        columns = "SELECT attname, format_type(atttypid, -1) FROM pg_attribute"
        rows = db.execute(f"{columns} WHERE attrelid = 'typed'::regclass AND attnum > 0".encode())
        found: dict[str, str] = dict(rows.fetchall())
    assert found["at"] == "timestamp without time zone"
    assert found["zoned"] == "timestamp with time zone"
    assert (found["day"], found["price"], found["uid"], found["doc"]) == ("date", "numeric", "uuid", "json")
    assert (found["flag"], found["mixed"], found["packed"]) == ("boolean", "text", "text")


def test_values_of_all_types_are_equal(pair: Pair) -> None:
    assert pair.verify().findings == []


def test_the_time_zone_of_the_database_does_not_matter(pair: Pair) -> None:
    with psycopg.connect(pair.dsn, autocommit=True) as db:
        name = db.info.dbname
        db.execute(f"ALTER DATABASE {name} SET TimeZone = 'Asia/Kolkata'".encode())
        db.execute(f"ALTER DATABASE {name} SET DateStyle = 'German'".encode())
        db.execute(f"ALTER DATABASE {name} SET extra_float_digits = -5".encode())
    assert pair.verify().equal


@pytest.mark.parametrize(
    ("change", "column"),
    [
        ("at = at + interval '1 second'", "at"),
        ("at = at + interval '1 microsecond'", "at"),
        ("zoned = zoned + interval '1 hour'", "zoned"),
        ("zoned = zoned + interval '1 microsecond'", "zoned"),
        ("zoned = 'infinity'", "zoned"),
        ("at = '-infinity'", "at"),
        ("at = '20000-01-01'", "at"),
        ("day = 'infinity'", "day"),
        ("day = day + 1", "day"),
        ("price = price + 0.01", "price"),
        ("price = price + 0.00000000000000000001", "price"),
        ("price = 'NaN'", "price"),
        ("flag = NOT flag", "flag"),
        ("uid = '00000000-0000-0000-0000-00000000000a'", "uid"),
        ("""doc = '{"a": 1, "a": 2}'""", "doc"),
        ("mixed = '1.0'", "mixed"),
        ("mixed = '01'", "mixed"),
        ("mixed = '''1'''", "mixed"),
        ("packed = '1'", "packed"),
        ("packed = '1.00'", "packed"),
        ("packed = '''1.0'''", "packed"),
        ("packed = 'x''00'''", "packed"),
    ],
)
def test_a_value_that_differs_in_the_least_is_found(pair: Pair, change: str, column: str) -> None:
    row = 2 if column == "packed" else 1
    pair.tamper(f"UPDATE typed SET {change} WHERE id = {row}")
    [finding] = pair.verify().findings
    assert (finding.kind, finding.key, finding.column) == ("differs", str(row), column)


def test_a_literal_in_needless_quotes_is_none_that_switchback_wrote(pair: Pair) -> None:
    pair.tamper("UPDATE typed SET mixed = '''text''' WHERE id = 3")
    [finding] = pair.verify().findings
    assert (finding.source, finding.replica, finding.replica_class) == ("'text'", "'text'", "none of SQLite's")


def test_the_same_number_in_another_storage_class_is_found(pair: Pair) -> None:
    pair.sneak("UPDATE typed SET mixed = 1.0 WHERE id = 1")
    pair.sneak("UPDATE typed SET packed = 1 WHERE id = 2")
    found = {(f.key, f.source_class, f.source, f.replica_class, f.replica) for f in pair.verify().findings}
    assert found == {("1", "REAL", "1.0", "INTEGER", "1"), ("2", "INTEGER", "1", "REAL", "1.0")}


@pytest.mark.parametrize(
    ("table", "extra", "key"),
    [
        ("by_uuid", "('00000000-0000-0000-0000-00000000000b', 1)", "'00000000-0000-0000-0000-00000000000b'"),
        ("by_time", "('2000-01-01', 7, 1)", "'2000-01-01 00:00:00', 7"),
        ("by_blob", "('\\x0102', 1)", "X'0102'"),
        ("by_time", "('infinity', 7, 1)", "a time out of Python's range, 7"),
        ("by_time", "('2024-01-02 03:04:05.000001', 12.5, 1)", "'2024-01-02 03:04:05.000001', 12.5"),
    ],
)
def test_an_extra_row_is_found_under_every_kind_of_key(pair: Pair, table: str, extra: str, key: str) -> None:
    pair.tamper(f"INSERT INTO {table} VALUES {extra}")
    found = [(f.kind, f.table, f.key) for f in pair.verify().findings]
    assert found == [("extra", table, key)]


@pytest.mark.parametrize("table", ["by_uuid", "by_time", "by_blob"])
def test_missing_rows_are_found_under_every_kind_of_key(pair: Pair, table: str) -> None:
    pair.tamper(f"DELETE FROM {table}")
    assert pair.verify().wrong_rows == 3


ADOPTED = "CREATE TABLE adopted (id integer PRIMARY KEY, code char(5), short varchar(5), doc jsonb, single real)"


def test_a_table_that_somebody_else_made_is_compared_in_its_own_types(tmp_path: Path, postgres_dsn: str) -> None:
    with psycopg.connect(postgres_dsn, autocommit=True) as db:
        db.execute(ADOPTED.encode())
    columns = "id INTEGER PRIMARY KEY, code TEXT, short TEXT, doc TEXT, single REAL"
    row = "1, 'ab', 'abc', '{\"a\": [1, 2]}', 0.5"
    more = f"CREATE TABLE adopted ({columns}); INSERT INTO adopted VALUES ({row}), (2, NULL, NULL, NULL, NULL);"
    pair = Pair(tmp_path, postgres_dsn, rows=3, more=more)
    assert pair.verify().findings == []
    pair.tamper("UPDATE adopted SET code = 'abc', short = 'ab', doc = '{}', single = 0.25 WHERE id = 1")
    assert {f.column for f in pair.verify().findings} == {"code", "short", "doc", "single"}
    pair.close()
