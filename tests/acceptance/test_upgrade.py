"""An upgrade in the middle of a migration, and programs that meet the state of a newer version."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from command import Command
from comparing import TABLES, assert_equal
from daemons import Migration
from fix_migration import STOPPED, Begin
from fix_postgres import new_database
from shared.postgres import ledger, reverse
from shared.postgres.version import FORMAT, bring_up
from switching import SqliteSide

STATES = Path(__file__).parents[1] / "support" / "states"
"""What versions before left behind in the middle of a migration: the sink killed, then capture; writers went on."""
NEWER = "of a newer version of Switchback"


def _load(path: Path, script: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA journal_mode=WAL")
        db.executescript(script.read_text())


@pytest.mark.parametrize("state", sorted(STATES.iterdir()), ids=lambda state: state.name)
def test_this_version_goes_on_where_one_before_was_killed(
    begin: Begin, postgres_dsn: str, tmp_path: Path, state: Path
) -> None:
    with psycopg.connect(postgres_dsn, autocommit=True) as db:
        db.execute((state / "target.sql").read_bytes())
    _load(tmp_path / "app.db", state / "source.sql")
    _load(tmp_path / "app.log", state / "log.sql")
    migration = begin(postgres_dsn, source=tmp_path / "app.db")
    migration.start()
    migration.wait_in_step()
    assert_equal(migration.source, migration.dsn, "account", "item")
    switched = Command(tmp_path, **migration.settings)("cutover", "--unverified")
    assert switched.code == 0, switched.out + switched.errors
    with psycopg.connect(postgres_dsn) as db:
        assert db.execute("SELECT version FROM switchback.format").fetchall() == [(FORMAT,)]
        assert _columns(db) >= _columns_of_new_tables(postgres_dsn)
        db.execute("UPDATE account SET balance = 7 WHERE id = 3")
    switched = Command(tmp_path, **migration.settings)("rollback", "--unverified")
    assert switched.code == 0, switched.out + switched.errors
    migration.wait_in_step()
    assert_equal(migration.source, migration.dsn, "account", "item")


@pytest.mark.parametrize("state", sorted(STATES.iterdir()), ids=lambda state: state.name)
def test_an_administrators_new_script_does_not_keep_older_tables_from_their_upgrade(
    postgres_dsn: str, state: Path
) -> None:
    with psycopg.connect(postgres_dsn, autocommit=True) as db:
        db.execute((state / "target.sql").read_bytes())
        db.execute((ledger.DDL + reverse.DDL).encode())
        bring_up(db)
        assert _columns(db) >= _columns_of_new_tables(postgres_dsn)


def _columns(db: psycopg.Connection) -> set[tuple[str, ...]]:
    query = (
        "SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_schema = 'switchback'"
    )
    return set(db.execute(query).fetchall())


def _columns_of_new_tables(dsn: str) -> set[tuple[str, ...]]:
    with new_database(dsn) as fresh, psycopg.connect(fresh) as db:
        db.execute(("CREATE SCHEMA switchback;" + ledger.DDL + reverse.DDL).encode())
        return _columns(db)


def _all(migration: Migration) -> list[list[str]]:
    """Both databases, row for row; the log is what one may look into."""
    names = [f'"{table}"' for table in TABLES]
    ours = ("ledger", "side", "copied", "captured", "format", "source_schema", "journal")
    with psycopg.connect(migration.dsn) as db, closing(sqlite3.connect(migration.source)) as file:
        tables = [*names, *(f"switchback.{name}" for name in ours)]
        rows = [[str(row) for row in db.execute(f"SELECT * FROM {name} AS t ORDER BY t".encode())] for name in tables]
        return [*rows, list(file.iterdump())]


def test_no_program_touches_what_a_newer_version_left_in_postgresql(migration: Migration) -> None:
    migration.start()
    migration.wait_in_step()
    migration.stop()
    with psycopg.connect(migration.dsn) as db:
        db.execute("UPDATE switchback.format SET version = 99")
    side = SqliteSide(migration.source)
    side.transact(random.Random(1), 1, 1)
    side.close()
    before = _all(migration)

    migration.sink.start()
    migration.sink.assert_ended(STOPPED, NEWER, "format 99", "nothing was changed")
    command = Command(migration.source.parent, **migration.settings)
    for words in (("verify",), ("cutover", "--unverified"), ("uninstall", "--all", "--yes")):
        said = command(*words)
        assert said.code in (1, STOPPED), said.out + said.errors
        assert NEWER in " ".join((said.out + said.errors).split())
    status = command("status", "--json")
    assert status.code == 0
    assert NEWER in status.json["ledger"]["error"]
    assert _all(migration) == before
