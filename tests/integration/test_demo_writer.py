"""The demo's writers on a real database: what they say was acknowledged is there, whatever happens to them."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from importlib import resources
from pathlib import Path
from random import Random
from typing import Any

import psycopg
import pytest

from operations.demo.application import Application
from operations.demo.generate import MAKERS, generate
from operations.demo.ledger import ROWS_SQL, Ledger, LedgerFile, compare, read_ledger
from operations.demo.mix import OPERATIONS
from operations.demo.rows_people import OPENING_BALANCE
from operations.demo.target import SqliteTarget, Target, open_target
from operations.demo.work_office import INVARIANT_SQL
from operations.demo.writer import transact
from shared.errors import BadInput

ROWS = 20_000
TOTAL = ROWS * 5 // 1000 * OPENING_BALANCE


@pytest.fixture
def database(tmp_path: Path) -> Path:
    generate(tmp_path / "app.db", ROWS, seed=3)
    return tmp_path / "app.db"


@contextmanager
def running(database: Path, ledger: Path, processes: int) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "operations.demo.writer", "--database", str(database), "--ledger", str(ledger)]
    command += ["--rate", "0", "--processes", str(processes), "--seed", "5"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            yield process
        finally:
            process.terminate()


def wait_until(ledger: Path, true: Callable[[Ledger], bool]) -> Ledger:
    for _ in range(1_200):
        if true(found := read_ledger(ledger)):
            return found
        time.sleep(0.05)
    raise AssertionError("the writers did not get there")


def acknowledged_by(writer: int, count: int) -> Callable[[Ledger], bool]:
    return lambda ledger: sum(1 for who, _ in ledger.acknowledged if who == writer) >= count


def ask(database: Path, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(database)) as db:
        return db.execute(sql).fetchall()


def work_through(target: Target, ledger: Path, transactions: int) -> Ledger:
    """Every kind in turn, so that none is left out."""
    app, file = Application(target, Random(11)), LedgerFile(ledger, 1)
    for n in range(transactions):
        if n % 50 == 0:
            app.look_around()
        transact(app, file, list(OPERATIONS)[n % len(OPERATIONS)])
    file.close()
    return read_ledger(ledger)


def assert_sound(database: Path, ledger: Path) -> None:
    found = compare(read_ledger(ledger), [(w, n, t) for w, n, t in ask(database, ROWS_SQL)])
    assert found.ok, (found.lost[:3], found.ghosts[:3], found.doubled[:3])
    assert ask(database, "PRAGMA foreign_key_check") == []
    assert ask(database, "PRAGMA integrity_check") == [("ok",)]
    assert ask(database, INVARIANT_SQL) == [(TOTAL,)]


def test_every_kind_of_transaction_works_and_only_deliberate_ones_are_refused(database: Path, tmp_path: Path) -> None:
    ledger = work_through(SqliteTarget(database), tmp_path / "ledger", 100 * len(OPERATIONS))
    assert ledger.troubles == {}
    assert {write.kind for write in ledger.refused.values()} >= {"violate", "abandon", "abandon_transfer"}
    assert {write.kind for write in ledger.acknowledged.values()} == set(OPERATIONS) - {
        "violate", "abandon", "abandon_transfer",
    }  # fmt: skip
    assert_sound(database, tmp_path / "ledger")


def test_the_tables_stay_about_as_large_as_they_were(database: Path, tmp_path: Path) -> None:
    work_through(SqliteTarget(database), tmp_path / "ledger", 200 * len(OPERATIONS))
    sizes = {table: ask(database, f'SELECT count(*) FROM "{table}"')[0][0] for table in MAKERS}
    assert {table for table, size in sizes.items() if size == 0} == set()
    assert sum(sizes.values()) < 2 * ROWS


def test_the_smallest_database_will_do(tmp_path: Path) -> None:
    generate(tmp_path / "small.db", 1_000)
    ledger = work_through(SqliteTarget(tmp_path / "small.db"), tmp_path / "ledger", 40 * len(OPERATIONS))
    assert ledger.troubles == {}


def test_it_works_in_rollback_journal_mode(tmp_path: Path) -> None:
    generate(tmp_path / "app.db", 5_000, journal="delete")
    ledger = work_through(SqliteTarget(tmp_path / "app.db"), tmp_path / "ledger", 4 * len(OPERATIONS))
    assert ledger.troubles == {}


def test_after_kill_9_of_one_writer_the_ledger_agrees_with_the_database(database: Path, tmp_path: Path) -> None:
    folder = tmp_path / "ledger"
    with running(database, folder, processes=2) as program:
        ledger = wait_until(folder, acknowledged_by(1, 200))
        os.kill(ledger.processes[1], signal.SIGKILL)
        wait_until(folder, acknowledged_by(2, 200))
        program.terminate()
        output, _ = program.communicate(timeout=60)
    assert program.returncode == 1, output  # one writer ended badly, and that is said
    unknown = read_ledger(folder).unknown
    assert {writer for writer, _ in unknown} <= {1}
    assert len(unknown) <= 1
    assert_sound(database, folder)


def test_after_kill_9_of_the_program_its_writers_end_by_themselves(database: Path, tmp_path: Path) -> None:
    folder = tmp_path / "ledger"
    with running(database, folder, processes=2) as program:
        wait_until(folder, lambda ledger: acknowledged_by(1, 100)(ledger) and acknowledged_by(2, 100)(ledger))
        program.kill()
        program.communicate(timeout=60)  # their end of the pipe is closed too: they are gone
    assert read_ledger(folder).unknown == {}
    assert_sound(database, folder)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_them_finish_what_they_are_at(database: Path, tmp_path: Path, number: signal.Signals) -> None:
    folder = tmp_path / "ledger"
    with running(database, folder, processes=2) as program:
        wait_until(folder, lambda ledger: acknowledged_by(1, 50)(ledger) and acknowledged_by(2, 50)(ledger))
        program.send_signal(number)
        output, _ = program.communicate(timeout=60)
    assert program.returncode == 0, output
    assert "0 unknown" in output
    assert "not wanted: {}" in output
    assert_sound(database, folder)


def test_a_reader_never_sees_the_total_of_credits_waver(database: Path, tmp_path: Path) -> None:
    folder, seen = tmp_path / "ledger", set()
    with running(database, folder, processes=2), closing(sqlite3.connect(database)) as reader:
        while not acknowledged_by(2, 300)(read_ledger(folder)):
            seen |= set(reader.execute(INVARIANT_SQL).fetchall())
    assert seen == {(TOTAL,)}


def test_a_second_run_goes_on_in_the_same_ledger(database: Path, tmp_path: Path) -> None:
    folder = tmp_path / "ledger"
    for count in (50, 100):
        with running(database, folder, processes=1) as program:
            wait_until(folder, acknowledged_by(1, count))
            program.terminate()
            program.communicate(timeout=60)
    assert len(read_ledger(folder).acknowledged) >= 100
    assert_sound(database, folder)


def test_a_database_that_is_not_there_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"cannot be opened.*none\.db"):
        open_target(str(tmp_path / "none.db"))
    assert not (tmp_path / "none.db").exists()


def test_a_server_that_is_not_there_is_bad_input_that_hides_the_password() -> None:
    with pytest.raises(BadInput) as caught:
        open_target("postgresql://me:secret@127.0.0.1:1/app")
    assert "secret" not in str(caught.value)


def test_the_same_writer_works_on_postgresql(database: Path, tmp_path: Path, postgres_dsn: str) -> None:
    with psycopg.connect(postgres_dsn) as db:
        copy_to_postgres(database, db)
    ledger = work_through(open_target(postgres_dsn), tmp_path / "ledger", 10 * len(OPERATIONS))
    assert ledger.troubles == {}
    with psycopg.connect(postgres_dsn) as db:
        rows: list[tuple[int, int, str]] = db.execute(ROWS_SQL).fetchall()
        assert compare(ledger, rows).ok
        assert db.execute(INVARIANT_SQL).fetchall() == [(TOTAL,)]


def test_a_writer_whose_server_connection_is_cut_connects_again(
    database: Path, tmp_path: Path, postgres_dsn: str
) -> None:
    with psycopg.connect(postgres_dsn, autocommit=True) as db:
        copy_to_postgres(database, db)
        target = open_target(postgres_dsn)
        work_through(target, tmp_path / "ledger", 5)
        db.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'demo-writer'")
        file = LedgerFile(tmp_path / "ledger", 1)
        app = Application(target, Random(1))
        assert not transact(app, file, "configure")
        assert target.reconnect_if_lost()
        app.look_around()
        assert transact(app, file, "configure")
        rows: list[tuple[int, int, str]] = db.execute(ROWS_SQL).fetchall()
        assert compare(read_ledger(tmp_path / "ledger"), rows).ok


POSTGRES = {
    "INTEGER PRIMARY KEY AUTOINCREMENT": "bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY",
    '"id" INTEGER PRIMARY KEY': '"id" bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY',
    "INTEGER": "bigint",
    "BINARY(32)": "bytea",
    "BLOB": "bytea",
    "CLOB": "text",
    "DATETIME": "timestamp",
    "BOOLEAN NOT NULL DEFAULT 1": "boolean NOT NULL DEFAULT true",
    "BOOLEAN NOT NULL DEFAULT 0": "boolean NOT NULL DEFAULT false",
    "REAL": "double precision",
    " COLLATE NOCASE": "",
    " WITHOUT ROWID": "",
    "DEFAULT (strftime('%s', 'now'))": "",
}


def copy_to_postgres(database: Path, db: psycopg.Connection) -> None:
    """The demo's tables as a person would write them for PostgreSQL, with the rows."""
    script = resources.files("operations.demo").joinpath("schema.sql").read_text("utf-8")
    for word, other in POSTGRES.items():
        script = script.replace(word, other)
    db.execute("SET session_replication_role = replica")
    db.execute(script.encode())
    db.execute('CREATE UNIQUE INDEX ON "leads" ("external_reference") WHERE "closed_at" IS NULL')
    for table in MAKERS:
        rows = ask(database, f'SELECT * FROM "{table}"')
        flags = [n for n, row in enumerate(ask(database, f"PRAGMA table_info({table})")) if row[2] == "BOOLEAN"]
        with db.cursor().copy(f'COPY "{table}" FROM STDIN'.encode()) as copy:
            for row in rows:
                copy.write_row([bool(value) if n in flags else value for n, value in enumerate(row)])
        if db.execute("SELECT 1 FROM pg_sequences WHERE sequencename = %s", [f"{table}_id_seq"]).fetchall():
            sequence = f'SELECT setval(\'"{table}_id_seq"\', max("id")) FROM "{table}"'
            db.execute(sequence.encode())
    db.execute("SET session_replication_role = DEFAULT")
