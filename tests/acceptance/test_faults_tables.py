"""Tables, names and values that are out of the ordinary, and migrations of the application's, with both daemons."""

from __future__ import annotations

import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from command import Command
from comparing import TABLES, assert_equal, assert_receipts, rows_of_postgres
from daemons import Migration, wait_until
from fix_migration import BAD_INPUT, STOPPED, Begin
from traffic import Traffic

Make = Callable[[str], Migration]


@pytest.fixture
def make(begin: Begin, tmp_path: Path, postgres_dsn: str) -> Make:
    def making(script: str) -> Migration:
        source = tmp_path / "app.db"
        _run(source, script)
        return begin(postgres_dsn, source=source)

    return making


def _run(path: Path, script: str) -> None:
    with closing(sqlite3.connect(path, timeout=30)) as db:
        db.executescript(script)


def _follow(migration: Migration, script: str) -> None:
    """Copy, and then bring over what the script writes."""
    migration.start()
    migration.wait_in_step()
    _run(migration.source, script)
    migration.wait_in_step()
    assert "Traceback" not in migration.capture.output + migration.sink.output


def test_a_virtual_table_and_its_shadows_are_left_out_and_named(make: Make) -> None:
    migration = make(
        "CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT);"
        "CREATE VIRTUAL TABLE note_fts USING fts5 (text, content=note, content_rowid=id);"
        "CREATE TRIGGER note_ai AFTER INSERT ON note BEGIN"
        "  INSERT INTO note_fts (rowid, text) VALUES (new.id, new.text); END;"
        "INSERT INTO note (text) VALUES ('one'), ('two');"
    )
    _follow(migration, "INSERT INTO note (text) VALUES ('three')")
    assert_equal(migration.source, migration.dsn, "note")
    with psycopg.connect(migration.dsn) as db:
        found = db.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
    assert found == [("note",)]
    check = Command(migration.source.parent, **migration.settings)("check", "--json")
    assert "note_fts" in check.out


def test_a_table_without_a_key_keeps_its_equal_rows(make: Make) -> None:
    migration = make(
        "CREATE TABLE loose (a TEXT, b INTEGER); INSERT INTO loose VALUES ('x', 1), ('x', 1), ('x', 1), (NULL, NULL)"
    )
    _follow(
        migration,
        "INSERT INTO loose VALUES ('x', 1), ('y', 2);"
        "DELETE FROM loose WHERE rowid = 2;"
        "UPDATE loose SET b = 5 WHERE rowid = 3",
    )
    with psycopg.connect(migration.dsn) as db:
        rows = db.execute("SELECT a, b FROM loose").fetchall()
    assert Counter(rows) == Counter([("x", 1), ("x", 5), (None, None), ("x", 1), ("y", 2)])


def test_odd_names_are_kept(make: Make) -> None:
    tables = ("select", "with space", 'a "quote"', "größe 🐘", "Mixed.Case", "per%cent", "semi;colon--", "it's")
    columns = ("id", "order by", 'dou"ble', "naïve 🦭", "UPPER", "50%s", "a.b", "new", "it's", "$1", "\\n")

    def quoted(name: str) -> str:
        return '"' + name.replace('"', '""') + '"'

    shape = ", ".join(f"{quoted(column)} TEXT" for column in columns[1:])
    insert = "INSERT INTO {} VALUES ({}" + ", 'v'" * (len(columns) - 1) + ");"
    names = [quoted(table) for table in tables]
    migration = make(
        "".join(
            f"CREATE TABLE {name} (id INTEGER PRIMARY KEY, {shape}, UNIQUE ({quoted(columns[2])}, id));"
            f"CREATE INDEX {quoted('index of ' + table)} ON {name} ({quoted(columns[5])});" + insert.format(name, 1)
            for name, table in zip(names, tables, strict=True)
        )
    )
    _follow(
        migration,
        "".join(
            insert.format(name, 2)
            + f"UPDATE {name} SET {', '.join(f'{quoted(column)} = id' for column in columns[1:])} WHERE id = 1;"
            for name in names
        ),
    )
    for name in tables:
        rows = rows_of_postgres(migration.dsn, name.replace('"', '""'))
        assert [row[0][1] for row in rows] == [1, 2], name
        assert [{value for _, value in row[1:]} for row in rows] == [{"1"}, {"v"}], name


@pytest.mark.parametrize("later", [False, True], ids=["copied", "written later"])
@pytest.mark.parametrize(
    ("value", "content"),
    [("CAST(x'610062' AS TEXT)", b"a\0b"), ("CAST(x'61ff62c3' AS TEXT)", b"a\xffb\xc3")],
    ids=["NUL", "not UTF-8"],
)
def test_a_text_that_postgresql_cannot_keep_is_kept_as_its_bytes(
    make: Make, value: str, content: bytes, *, later: bool
) -> None:
    row = f"INSERT INTO t VALUES (2, {value}, 'plain');"
    migration = make(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b TEXT); INSERT INTO t VALUES (1, 'höher', 'b');"
        + ("" if later else row)
    )
    _follow(migration, row if later else "UPDATE t SET b = 'plain' WHERE id = 1")
    with psycopg.connect(migration.dsn) as db:
        rows = db.execute("SELECT id, a FROM t ORDER BY id").fetchall()
        plain = db.execute("SELECT pg_typeof(b)::text FROM t").fetchone()
    assert rows == [(1, "höher".encode()), (2, content)]
    assert plain == ("text",)
    assert _verified(migration) == 0


@pytest.mark.parametrize("without_rowid", ["", "WITHOUT ROWID"])
def test_a_key_that_is_not_utf8_is_copied_followed_and_verified_like_any_other(make: Make, without_rowid: str) -> None:
    raw = "CAST(x'ff{:02x}' AS TEXT)"
    rows = ", ".join(f"({raw.format(number)}, 'raw'), ('{number}', 'plain')" for number in range(50))
    migration = make(f"CREATE TABLE t (k TEXT PRIMARY KEY, v TEXT) {without_rowid}; INSERT INTO t VALUES {rows};")
    migration.settings["chunk_rows"] = "7"
    _follow(
        migration,
        f"UPDATE t SET v = 'changed' WHERE k = {raw.format(1)}; DELETE FROM t WHERE k = {raw.format(2)};"
        f"INSERT INTO t VALUES (CAST(x'fe' AS TEXT), 'late')",
    )
    with psycopg.connect(migration.dsn) as db:
        found: dict[bytes, str] = dict(db.execute("SELECT k, v FROM t").fetchall())
    expected = {bytes((0xFF, number)): "raw" for number in range(50) if number != 2}
    expected |= {str(number).encode(): "plain" for number in range(50)}
    assert found == {**expected, b"\xff\x01": "changed", b"\xfe": "late"}
    assert _verified(migration) == 0


def _verified(migration: Migration) -> int:
    """The exit code of a full pass, which compares storage classes too."""
    said = Command(migration.source.parent, **migration.settings)("verify", "--json")
    assert said.code == 0, said.out + said.errors
    return said.code


def test_a_vacuum_under_a_table_without_a_key_stops_it_and_elsewhere_does_not(make: Make) -> None:
    migration = make(
        "CREATE TABLE keyed (k TEXT PRIMARY KEY, n INTEGER); INSERT INTO keyed VALUES ('a', 1), ('b', 2), ('c', 3);"
        "DELETE FROM keyed WHERE k = 'a'; CREATE TABLE t (a TEXT); INSERT INTO t VALUES ('x'), ('y'); DELETE FROM t"
        " WHERE a = 'x'"
    )
    migration.start()
    migration.wait_in_step()
    _run(migration.source, "VACUUM")
    migration.capture.assert_ended(STOPPED, "vacuumed", "table t", "opy again")
    assert migration.sink.running


def test_a_vacuum_where_every_table_has_a_key_goes_on(migration: Migration) -> None:
    migration.start()
    migration.wait_in_step()
    with Traffic(migration.source, rate=30) as traffic:
        _run(migration.source, "VACUUM")
        wait_until("there is some traffic behind it", lambda: len(traffic.acknowledged) > 20)
    migration.wait_in_step()
    assert_receipts(traffic, migration.dsn)
    assert_equal(migration.source, migration.dsn, *TABLES)


def test_what_a_migration_of_the_application_leaves_is_copied_again_as_the_message_says(
    migration: Migration, tmp_path: Path
) -> None:
    with Traffic(migration.source, rate=30) as traffic:
        migration.start()
        migration.wait_in_step()
        _run(migration.source, "ALTER TABLE receipt ADD COLUMN note TEXT DEFAULT 'none'; CREATE TABLE more (a, b)")
        migration.capture.assert_ended(STOPPED, "receipt", "opy again", "uninstall --all")
        migration.sink.stop()
        traffic.end()
        done = Command(tmp_path, **migration.settings)("uninstall", "--all", "--yes")
        assert done.code == 0, done.errors
        _drop(migration.dsn, *TABLES)
        migration.start()
        migration.wait_in_step()
    assert_receipts(traffic, migration.dsn)
    assert_equal(migration.source, migration.dsn, *TABLES)


def _drop(dsn: str, *tables: str) -> None:
    with psycopg.connect(dsn) as db:
        for table in tables:
            db.execute(f'DROP TABLE "{table}" CASCADE'.encode())


def test_a_backup_put_in_place_stops_it_until_the_newer_file_is_back(migration: Migration, tmp_path: Path) -> None:
    migration.start()
    migration.wait_in_step()
    backup, newer = tmp_path / "backup.db", tmp_path / "newer.db"
    _copy(migration.source, backup)
    _run(migration.source, "UPDATE account SET balance = balance + 1 WHERE id = 1")
    migration.wait_in_step()
    migration.capture.stop()
    _copy(migration.source, newer)
    _replace(migration.source, backup)
    migration.capture.start()
    migration.capture.assert_ended(STOPPED, "older copy", "bring the newer one back")
    _replace(migration.source, newer)
    migration.capture.start()
    _run(migration.source, "UPDATE account SET balance = balance + 1 WHERE id = 2")
    migration.wait_in_step()
    assert_equal(migration.source, migration.dsn, *TABLES)


def _copy(source: Path, target: Path) -> None:
    with closing(sqlite3.connect(source)) as db, closing(sqlite3.connect(target)) as copy:
        db.backup(copy)


def _replace(path: Path, other: Path) -> None:
    shutil.move(other, path)
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def test_null_in_a_key_is_refused_until_the_row_has_one(make: Make) -> None:
    migration = make("CREATE TABLE t (k TEXT PRIMARY KEY, n INTEGER); INSERT INTO t VALUES (NULL, 1), ('a', 2)")
    migration.start()
    migration.capture.assert_ended(BAD_INPUT, "NULL in their key", "table t", "exclude")
    _run(migration.source, "UPDATE t SET k = 'b' WHERE k IS NULL")
    migration.capture.start()
    migration.wait_in_step()
    assert_equal(migration.source, migration.dsn, "t")


def test_a_row_that_an_existing_table_refuses_holds_the_stream_until_it_fits(
    begin: Begin, tmp_path: Path, postgres_dsn: str
) -> None:
    source = tmp_path / "app.db"
    _run(source, "CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER); INSERT INTO t VALUES (1, 1)")
    with psycopg.connect(postgres_dsn) as db:
        db.execute("CREATE TABLE t (id bigint PRIMARY KEY, n bigint CONSTRAINT small CHECK (n < 10))")
    migration = begin(postgres_dsn, source=source, existing="match")
    migration.start()
    migration.wait_in_step()
    _run(source, "INSERT INTO t VALUES (2, 2); INSERT INTO t VALUES (3, 77); INSERT INTO t VALUES (4, 4)")
    migration.sink.assert_ended(STOPPED, "table t", "constraint small", "nothing is lost")
    with psycopg.connect(postgres_dsn) as db:
        db.execute("ALTER TABLE t DROP CONSTRAINT small")
    migration.sink.start()
    migration.wait_in_step()
    assert_equal(source, migration.dsn, "t")
