"""Every value, and every shape of a table, comes through the change log as it is stored."""

from __future__ import annotations

import pytest

from fix_sqlite import Capture
from shared.groups import RawText
from shared.sqlite.changelog import read_changes

VALUES = [
    None, 0, -1, 9223372036854775807, -9223372036854775808, 0.1 + 0.2, 1.0, 1e300, float("inf"), "", "a", "é\U0001f600",
    "nul\0inside", b"", b"\0\xff", "1", "x" * 100_000,
]  # fmt: skip


@pytest.mark.parametrize("declared", ["", "TEXT", "INTEGER", "REAL", "NUMERIC", "BLOB", "DATETIME"])
def test_values_keep_their_storage_class(capture: Capture, declared: str) -> None:
    source = capture(f"CREATE TABLE t (id INTEGER PRIMARY KEY, v {declared})")
    for value in VALUES:
        source.run("INSERT INTO t (v) VALUES (?)", values=(value,))
    source.run("UPDATE t SET id = id + 1000", "DELETE FROM t WHERE id % 2")
    stored = source.app.execute("SELECT v FROM t").fetchall()
    logged = {entry[1]: entry[2] for entry in source.news() if entry[0] == "c" and entry[1] > 1000}
    assert [repr(value) for (value,) in stored] == [repr(logged[key]) for key in sorted(logged) if not key % 2]


def test_a_text_that_is_not_utf8_comes_as_raw_text_and_its_neighbours_as_usual(capture: Capture) -> None:
    source = capture("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)")
    source.run("INSERT INTO t VALUES (1, 'é'), (2, CAST(x'41ff00' AS TEXT)), (3, 'b')")
    assert source.news() == [("c", 1, "é"), ("c", 2, RawText(b"A\xff\0")), ("c", 3, "b")]


def test_a_blob_of_fifty_megabytes(capture: Capture) -> None:
    source = capture("CREATE TABLE t (id INTEGER PRIMARY KEY, v BLOB)")
    source.run("INSERT INTO t VALUES (1, zeroblob(50000000)), (2, 'small')")
    first = read_changes(source.ours, source.schema, 0, 2, 100)
    assert [len(change.values[1]) for change in first] == [50_000_000]  # a page of its own
    assert [change.seq for change in read_changes(source.ours, source.schema, 1, 2, 100)] == [2]


def test_a_table_of_the_greatest_width(capture: Capture) -> None:
    names = [f"col{number}" for number in range(1995)]
    source = capture(f"CREATE TABLE t (id INTEGER PRIMARY KEY, {', '.join(names)}); CREATE TABLE narrow (a)")
    source.run("INSERT INTO t (id, col0, col1994) VALUES (1, 'first', 'last')", "INSERT INTO narrow VALUES (7)")
    wide, narrow = source.news()
    assert (wide[2], wide[-1], len(wide)) == ("first", "last", 1997)
    assert narrow == ("c", 1, 7)


SHAPES = {
    "composite": (
        "CREATE TABLE t (a INTEGER, b TEXT, v TEXT, PRIMARY KEY (b, a))",
        "INSERT INTO t VALUES (1, 'x', 'v')",
    ),
    "without rowid": ("CREATE TABLE t (a INTEGER PRIMARY KEY, v TEXT) WITHOUT ROWID", "INSERT INTO t VALUES (1, 'v')"),
    "strict": ("CREATE TABLE t (a INT PRIMARY KEY, v ANY) STRICT", "INSERT INTO t VALUES (1, 2.0)"),
    "no key": ("CREATE TABLE t (v TEXT)", "INSERT INTO t VALUES ('v'), ('v')"),
    "unique": ("CREATE TABLE t (v TEXT NOT NULL UNIQUE)", "INSERT INTO t VALUES ('v')"),
    "generated": (
        "CREATE TABLE t (a INTEGER PRIMARY KEY, v TEXT, g AS (a + 1), s TEXT AS (v || 's') STORED)",
        "INSERT INTO t (v) VALUES ('v')",
    ),
    "odd names": (
        'CREATE TABLE "select ""t"" \'; ö" ("group" INTEGER PRIMARY KEY, [a b] TEXT UNIQUE, `ü"` TEXT)',
        'INSERT INTO "select ""t"" \'; ö" VALUES (1, \'a\', \'b\')',
    ),
    "hidden rowid": ("CREATE TABLE t (rowid TEXT, oid TEXT UNIQUE)", "INSERT INTO t VALUES ('r', 'o')"),
    "no name for the rowid": (
        "CREATE TABLE t (rowid TEXT, oid TEXT, _rowid_ TEXT UNIQUE, k TEXT PRIMARY KEY NOT NULL)",
        "INSERT INTO t VALUES ('r', 'o', 'u', 'k')",
    ),
    "upper case": ("CREATE TABLE T (ID INTEGER PRIMARY KEY, V TEXT)", "INSERT INTO t VALUES (1, 'v')"),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_of_table_is_captured(capture: Capture, shape: str) -> None:
    ddl, insert = SHAPES[shape]
    source = capture(ddl)
    table = source.schema.tables[0]
    last = table.columns[1 if shape == "generated" else -1].name.replace('"', '""')
    name = table.name.replace('"', '""')
    source.run(insert, f'UPDATE "{name}" SET "{last}" = \'changed\'' if shape != "no key" else "UPDATE t SET v = 'w'")
    assert source.news() != []
    source.run(f'DELETE FROM "{name}"')
    assert {op for op, *_ in source.news()} == {"d"}


def test_a_former_row_image_leaves_out_what_would_have_to_be_computed(capture: Capture) -> None:
    source = capture("CREATE TABLE t (id INTEGER PRIMARY KEY, d TEXT, g AS (json_extract(d, '$.a')))")
    source.run("INSERT INTO t VALUES (1, '{}')")
    source.run("UPDATE t SET d = '{\"a\": 5}'")
    assert source.news() == [("c", 1, "{}", None), ("u", 1, '{"a": 5}', 5)]
    source.run("DELETE FROM t")
    assert source.news() == [("d", 1, '{"a": 5}', None)]  # computing what was might fail


def test_times_are_milliseconds_as_sqlite_has_them(capture: Capture) -> None:
    source = capture("CREATE TABLE t (id INTEGER PRIMARY KEY, ms INTEGER)")
    now = "strftime('%s', 'now') * 1000 + CAST(substr(strftime('%f', 'now'), 4) AS INTEGER)"
    for _ in range(300):
        source.run(f"INSERT INTO t (ms) VALUES ({now})")
    changes = read_changes(source.ours, source.schema, 0, 300, 300)
    assert [change.time_ms for change in changes] == [change.values[1] for change in changes]
