"""Bad source files: one line that says which file and what to do, and all goes on once it is put right."""

from __future__ import annotations

import random
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from comparing import TABLES, assert_equal, assert_receipts
from daemons import Migration, wait_until
from fix_migration import BAD_INPUT, STOPPED, Begin, Disk
from traffic import Traffic, make_database

PAGE = 4096


def _remove(path: Path) -> None:
    path.unlink()


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _write_text(path: Path) -> None:
    path.write_text("id,name\n" * 2_000)


def _encrypt(path: Path) -> None:
    path.write_bytes(random.Random(5).randbytes(path.stat().st_size))


def _damage_schema(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[100:300] = b"\xff" * 200
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_remove, "no such file"),
        (_empty, "the file is empty"),
        (_write_text, "not a SQLite database"),
        (_encrypt, "encrypted"),
        (_damage_schema, "damaged"),
    ],
)
def test_a_file_that_is_no_good_is_refused_until_it_is_put_right(
    migration: Migration, spoil: Callable[[Path], None], words: str
) -> None:
    good = shutil.copy(migration.source, migration.source.with_suffix(".good"))
    spoil(migration.source)
    migration.start()
    migration.capture.assert_ended(BAD_INPUT, words, str(migration.source))
    shutil.copy(good, migration.source)
    migration.capture.start()
    migration.wait_in_step()
    assert_equal(migration.source, migration.dsn, *TABLES)


def test_a_damaged_table_stops_it_until_the_page_is_repaired(migration: Migration) -> None:
    root = _root_page(migration.source, "bulk")
    page = _swap_page(migration.source, root, b"\xee" * PAGE)
    migration.start()
    migration.capture.assert_ended(STOPPED, "damaged", str(migration.source), "integrity_check")
    _swap_page(migration.source, root, page)
    migration.capture.start()
    migration.wait_in_step()
    assert_equal(migration.source, migration.dsn, *TABLES)


def _root_page(path: Path, table: str) -> int:
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA page_size").fetchone() == (PAGE,)
        return int(db.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()[0])


def _swap_page(path: Path, number: int, content: bytes) -> bytes:
    with path.open("r+b") as file:
        file.seek((number - 1) * PAGE)
        old = file.read(PAGE)
        file.seek((number - 1) * PAGE)
        file.write(content)
    return old


@pytest.mark.parametrize("wal", [True, False], ids=["wal", "rollback journal"])
def test_a_folder_that_cannot_be_written_to_is_refused_until_it_can(
    begin: Begin, disk: Disk, tmp_path: Path, postgres_dsn: str, *, wal: bool
) -> None:
    source = make_database(disk() / "app.db", wal=wal)
    log = f"embedded:{tmp_path / 'log.db'}"
    migration = begin(postgres_dsn, log, source=source, state_dir=str(tmp_path / "state"))
    disk("ro")
    migration.start()
    migration.capture.assert_ended(BAD_INPUT, str(source), "access to", "folder")
    disk("rw")
    migration.capture.start()
    migration.wait_in_step()
    assert_equal(source, migration.dsn, *TABLES)


def test_a_lock_held_in_the_middle_is_said_once_and_waited_for(begin: Begin, postgres_dsn: str) -> None:
    migration = begin(postgres_dsn, wal=False, busy_seconds="0.2")
    migration.start()
    migration.wait_in_step()
    said = migration.capture.says  # a reader of ours may have been in its way already
    wait_until("capture waits for nobody", lambda: len(said("waiting to try again")) == len(said("goes on")))
    before = len(migration.capture.output)
    with closing(sqlite3.connect(migration.source, isolation_level=None)) as db:
        db.execute("BEGIN EXCLUSIVE")
        db.execute("UPDATE account SET balance = balance + 1")
        wait_until("capture waits", lambda: "locked" in migration.capture.output[before:])
        waits = migration.capture.output.count("\n")
        threading.Event().wait(1.5)  # several tries
        assert migration.capture.output.count("\n") == waits
        db.execute("COMMIT")
    migration.wait_in_step()
    wait_until("capture says that it goes on", lambda: "goes on" in migration.capture.output[before:])
    assert_equal(migration.source, migration.dsn, *TABLES)


def test_a_rollback_journal_with_readers_at_work_is_served_without_trouble_for_anyone(
    begin: Begin, postgres_dsn: str
) -> None:
    migration = begin(postgres_dsn, wal=False)
    with _readers(migration.source) as trouble, Traffic(migration.source, rate=30) as traffic:
        migration.start()
        wait_until("there was some traffic", lambda: len(traffic.acknowledged) > 60)
        traffic.end()
    migration.wait_in_step()
    assert not trouble
    assert not traffic.trouble
    assert migration.capture.running
    assert not migration.capture.says("Traceback")
    assert_receipts(traffic, migration.dsn)
    assert_equal(migration.source, migration.dsn, *TABLES)


@contextmanager
def _readers(path: Path, count: int = 2) -> Iterator[list[str]]:
    """Other programs that read the file all the time, tens of milliseconds each time."""
    end, trouble = threading.Event(), []

    def read() -> None:
        with closing(sqlite3.connect(path, timeout=10, isolation_level=None)) as db:
            while not end.wait(0.03):
                try:
                    db.execute("BEGIN")
                    db.execute("SELECT sum(a) FROM bulk").fetchone()
                    end.wait(0.02)
                    db.execute("COMMIT")
                except sqlite3.Error as error:
                    trouble.append(str(error))

    threads = [threading.Thread(target=read, daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield trouble
    finally:
        end.set()
        for thread in threads:
            thread.join()
