"""What PostgreSQL's values come back as: SQLite's own, class and bits, or a Hold that names where."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from captured import Captured
from shared.errors import Hold

SCRIPT = """
CREATE TABLE k (id INTEGER PRIMARY KEY, flag BOOLEAN, whole INTEGER, far REAL, exact DECIMAL(30,10), mixed, name TEXT,
    bytes BLOB, at DATETIME, zoned DATETIME, day DATE, u UUID, doc JSON, tag STRING);
INSERT INTO k VALUES (1, 1, 1, 0.5, 1.25, 5, 'n', x'00', '2024-01-02 03:04:05', '2024-01-02 03:04:05+00:00',
    '2024-01-02', 'c0ffee00c0ffee00c0ffee00c0ffee00', '{"a": 1}', 'x');
INSERT INTO k VALUES (2, 0, 1, 0.5, 3, 5.5, 'n', x'00', '2024-01-02 03:04:05', '2024-01-02 03:04:05+00:00',
    '2024-01-02', 'c0ffee00c0ffee00c0ffee00c0ffee00', '[]', 5);
"""
TYPES = {"flag": "boolean", "exact": "numeric", "mixed": "numeric", "at": "timestamp", "zoned": "timestamptz"}
TYPES |= {"day": "date", "u": "uuid", "doc": "json", "far": "double precision", "tag": "text"}


@pytest.fixture
def captured(tmp_path: Path, postgres_dsn: str) -> Iterator[Captured]:
    captured = Captured(tmp_path, postgres_dsn, SCRIPT)
    yield captured
    captured.close()


def test_the_columns_have_the_types_that_this_page_is_about(captured: Captured) -> None:
    asked = (
        "SELECT attname, format_type(atttypid, NULL) FROM pg_attribute WHERE attrelid = 'k'::regclass AND attnum > 0"
    )
    with captured.connect() as db:
        found = dict(db.execute(asked).fetchall())
    long = {"timestamp": "timestamp without time zone", "timestamptz": "timestamp with time zone"}
    assert {name: found[name] for name in TYPES} == {name: long.get(kind, kind) for name, kind in TYPES.items()}


@pytest.mark.parametrize(
    ("column", "written", "comes"),
    [
        ("flag", "true", 1),
        ("flag", "false", 0),
        ("whole", "-9223372036854775808", -(2**63)),
        ("whole", "9223372036854775807", 2**63 - 1),
        ("far", "'infinity'", float("inf")),
        ("far", "'-infinity'", float("-inf")),
        ("far", "0.1::float8 + 0.2::float8", 0.1 + 0.2),
        ("far", "5e-324", 5e-324),
        ("far", "'-0'", 0.0),  # a REAL column of SQLite's cannot have it
        ("exact", "1.10", 1.1),
        ("exact", "7.00", 7),
        ("exact", "123456789012345678", 123456789012345678),
        ("mixed", "7", 7),
        ("mixed", "7.0", 7.0),
        ("name", "''", ""),
        ("name", "NULL", None),
        ("name", r"""E'\'"\\ NULL {a,b} \n\t\u00e9\U0001F600 %s $1'""", "'\"\\ NULL {a,b} \n\té😀 %s $1"),
        ("name", "'NULL'", "NULL"),
        ("bytes", r"'\x'", b""),
        ("bytes", r"'\x00ff5c27'", b"\x00\xff\\'"),
        ("at", "'0001-01-01 00:00:00'", "0001-01-01 00:00:00"),
        ("zoned", "'2024-07-01 05:30:00+05:30'", "2024-07-01 00:00:00+00:00"),
        ("day", "'9999-12-31'", "9999-12-31"),
        ("u", "'C0FFEE00-c0ff-ee00-c0ff-ee00c0ffee01'", "c0ffee00c0ffee00c0ffee00c0ffee01"),
        ("doc", """'{"b" : 1, "a": "\\u00e9"}'""", '{"b" : 1, "a": "\\u00e9"}'),
        ("doc", "'null'", "null"),
        ("doc", "'12'", 12),
        ("tag", "'12'", 12),
        ("tag", "'twelve'", "twelve"),
    ],
)
def test_a_value_written_in_postgres_is_the_value_that_sqlite_would_hold(
    captured: Captured, column: str, written: str, comes: object
) -> None:
    captured.run(f"UPDATE k SET {column} = {written} WHERE id = 1")
    found = _column(captured, column)
    assert (type(found), repr(found)) == (type(comes), repr(comes))


@pytest.mark.parametrize(
    ("column", "written"),
    [
        ("far", "'NaN'"),
        ("exact", "'NaN'"),
        ("exact", "'infinity'"),
        ("exact", "0.12345678901234567890123"),
        ("exact", "12345678901234567890123"),
        ("exact", "1e400"),
        ("mixed", "0.12345678901234567890123"),
        ("at", "'infinity'"),
        ("at", "'2024-01-02 03:04:05 BC'"),
        ("at", "'12024-01-02 03:04:05'"),
        ("zoned", "'-infinity'"),
        ("day", "'infinity'"),
        ("day", "'0044-03-15 BC'"),
        ("u", "'00000000-0000-0000-0000-000000000012'"),
        ("u", "'12345678-1234-5678-1234-567812345e78'"),
    ],
)
def test_a_value_that_sqlite_cannot_hold_stops_the_stream_by_name(
    captured: Captured, column: str, written: str
) -> None:
    captured.run("UPDATE k SET name = 'before' WHERE id = 2")
    captured.run(f"UPDATE k SET {column} = {written} WHERE id = 1")
    with pytest.raises(Hold) as held:
        captured.read()
    assert f"table k, key 1, column {column}" in held.value.where
    captured.run(f"UPDATE k SET {column} = NULL WHERE id = 1")
    assert [change.values[0] for change in captured.read()] == [2, 1, 1]


def test_whatever_the_writing_session_is_set_to_the_same_values_come(captured: Captured) -> None:
    captured.run("UPDATE k SET name = 'plain', far = 0.1, at = '2024-01-02 03:04:05.000006' WHERE id = 1")
    plain = captured.read()[-1].values
    captured.run(
        "SET DateStyle = 'SQL, DMY'; SET TimeZone = 'America/St_Johns'; SET IntervalStyle = 'sql_standard'",
        "SET extra_float_digits = -15; SET bytea_output = 'escape'; SET standard_conforming_strings = off",
        "SET xmloption = 'document'; SET lc_numeric = 'C'; SET quote_all_identifiers = on; SET search_path = ''",
        "SET statement_timeout = '20s'; SET row_security = on; SET client_encoding = 'LATIN1'",
        "UPDATE public.k SET whole = whole WHERE id = 1",
    )
    assert captured.read()[-1].values == plain


def _column(captured: Captured, name: str) -> Any:
    (change,) = captured.read()
    values: Sequence[Any] = change.values
    return values[captured.schema.table("k").names.index(name)]
