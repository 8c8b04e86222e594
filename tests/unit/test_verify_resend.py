"""What a repair writes into the change log: what the triggers would have said about the rows as they are now."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from shared.errors import BadInput, SchemaChanged, Stop
from shared.groups import Change, RawText
from shared.sqlite.catalog import read_schema
from shared.sqlite.changelog import high, read_changes
from shared.sqlite.connection import connect, writing
from shared.sqlite.installation import install
from shared.sqlite.resend import resend
from shared.sqlite.state import write_state

SQL = """
CREATE TABLE t (id INTEGER PRIMARY KEY, v);
CREATE TABLE "odd ""name" (a TEXT COLLATE NOCASE, b, "select" BLOB, PRIMARY KEY (b, a)) WITHOUT ROWID;
CREATE TABLE loose (v);
INSERT INTO t VALUES (1, 'one'), (2, 2.0), (3, CAST(x'ff' AS TEXT));
INSERT INTO "odd ""name" VALUES ('A', 1, x'01'), ('b', 1.5, NULL);
INSERT INTO loose VALUES ('x');
"""


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    path = tmp_path / "app.db"
    with closing(sqlite3.connect(path)) as made:
        made.executescript(SQL)
    with closing(connect(path)) as db:
        install(db, read_schema(db), "test")
        yield db


def send(db: sqlite3.Connection, table: str, *keys: tuple[Any, ...]) -> list[Change]:
    schema, before = read_schema(db), high(db)
    assert resend(db, schema.table(table), keys) == len(keys)
    return read_changes(db, schema, before, high(db), 100)


def test_a_row_that_is_there_is_logged_as_it_is_with_its_storage_classes(db: sqlite3.Connection) -> None:
    changes = send(db, "t", (1,), (2,), (3,))
    assert [(change.op, tuple(change.values)) for change in changes] == [
        ("u", (1, "one")),
        ("u", (2, 2.0)),
        ("u", (3, RawText(b"\xff"))),
    ]
    assert type(changes[1].values[1]) is float


def test_a_row_that_is_not_there_is_logged_as_deleted(db: sqlite3.Connection) -> None:
    [change] = send(db, "t", (9,))
    assert (change.op, change.values[0]) == ("d", 9)


def test_keys_are_taken_to_the_letter_and_class(db: sqlite3.Connection) -> None:
    changes = send(db, 'odd "name', (1, "A"), (1, "a"), (1.5, "b"), (1.0, "A"))
    assert [(change.op, tuple(change.values)[:2]) for change in changes] == [
        ("u", ("A", 1)),
        ("d", ("a", 1)),
        ("u", ("b", 1.5)),
        ("d", ("A", 1.0)),
    ]


def test_a_table_without_a_key_is_found_by_its_rowid(db: sqlite3.Connection) -> None:
    [change] = send(db, "loose", (1,))
    assert (change.op, tuple(change.values)) == ("u", (1, "x"))


def test_a_table_in_another_shape_than_captured_is_refused(db: sqlite3.Connection) -> None:
    db.execute("ALTER TABLE t ADD COLUMN w")
    with pytest.raises(SchemaChanged):
        resend(db, read_schema(db).table("t"), [(1,)])
    assert high(db) == 0


def test_a_file_that_was_closed_meanwhile_is_refused_and_left_as_it_is(db: sqlite3.Connection) -> None:
    """A repair that waited for the lock of a switch; what it logged would count as news after the way back."""
    with writing(db):
        write_state(db, role="replica")
    with pytest.raises(BadInput, match="closed meanwhile"):
        resend(db, read_schema(db).table("t"), [(1,)])
    assert high(db) == 0


def test_a_row_whose_key_is_not_utf8_is_logged_like_any_other_and_so_is_its_absence(db: sqlite3.Connection) -> None:
    raw = RawText(b"\xffA")
    db.execute("""INSERT INTO "odd ""name" VALUES (CAST(x'ff41' AS TEXT), 1, NULL)""")
    present, absent = send(db, 'odd "name', (1, raw), (2, raw))
    assert (present.op, tuple(present.values)) == ("u", (raw, 1, None))
    assert (absent.op, tuple(absent.values)) == ("d", (raw, 2, None))


def test_a_key_that_is_not_even_utf16_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "wide.db"
    with closing(sqlite3.connect(path)) as made:
        made.executescript("PRAGMA encoding = 'UTF-16le'; CREATE TABLE t (k TEXT PRIMARY KEY) WITHOUT ROWID;")
    with closing(connect(path)) as db:
        schema = read_schema(db)
        install(db, schema, "test")
        with pytest.raises(Stop, match="UTF-16le"):
            resend(db, schema.table("t"), [(RawText(b"\xed\xa0\x80"),)])
