"""An upgrade in the middle of a migration, and programs that meet the state of a newer version."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from command import Command
from comparing import TABLES, assert_equal, rows_of_postgres, rows_of_sqlite
from daemons import Migration, wait_until
from fix_migration import STOPPED, Begin
from fix_postgres import new_database
from shared.postgres import ledger, reverse
from shared.postgres.version import FORMAT, bring_up
from switching import SqliteSide

STATES = Path(__file__).parents[1] / "support" / "states"
"""What versions before left behind in the middle of a migration: the sink killed, then capture; writers went on.
Those that end with "-back" had PostgreSQL as the primary."""
FORWARD = sorted(state for state in STATES.iterdir() if not state.name.endswith("-back"))
BACK = sorted(STATES.glob("*-back"))
NEWER = "of a newer version of Switchback"


def _load(path: Path, script: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA journal_mode=WAL")
        db.executescript(script.read_text())


def _take_over(begin: Begin, dsn: str, folder: Path, state: Path) -> Migration:
    with psycopg.connect(dsn, autocommit=True) as db:
        db.execute((state / "target.sql").read_bytes())
        db.execute(_CATCH_UP)
    _load(folder / "app.db", state / "source.sql")
    _load(folder / "app.log", state / "log.sql")
    return begin(dsn, source=folder / "app.db")


_CATCH_UP = """
DO $$ BEGIN
    WHILE pg_current_xact_id() <= (SELECT max(xid) FROM switchback.changes) LOOP COMMIT; END LOOP;
END $$
"""
"""The server that takes the state over has seen as many transactions as the one that the state is of."""


@pytest.mark.parametrize("state", FORWARD, ids=lambda state: state.name)
def test_this_version_goes_on_where_one_before_was_killed(
    begin: Begin, postgres_dsn: str, tmp_path: Path, state: Path
) -> None:
    migration = _take_over(begin, postgres_dsn, tmp_path, state)
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


@pytest.mark.parametrize("state", BACK, ids=lambda state: state.name)
def test_this_version_goes_on_where_one_before_was_killed_with_postgresql_as_the_primary(
    begin: Begin, postgres_dsn: str, tmp_path: Path, state: Path
) -> None:
    migration = _take_over(begin, postgres_dsn, tmp_path, state)
    written = rows_of_postgres(postgres_dsn, "item")
    assert rows_of_sqlite(migration.source, "item") != written
    command = Command(tmp_path, **migration.settings)
    migration.start()
    wait_until("SQLite has what was written in between", lambda: command("status", "--json").json["synced"])
    assert rows_of_postgres(postgres_dsn, "item") == written
    assert_equal(migration.source, migration.dsn, "account", "item")
    for verb in ("rollback", "cutover", "rollback"):
        switched = command(verb, "--unverified")
        assert switched.code == 0, switched.out + switched.errors
    with closing(sqlite3.connect(migration.source)) as application:
        application.execute("UPDATE account SET balance = 7 WHERE id = 3")
        application.commit()
    migration.wait_in_step()
    assert_equal(migration.source, migration.dsn, "account", "item")
    with psycopg.connect(postgres_dsn) as db:
        assert db.execute("SELECT version FROM switchback.format").fetchall() == [(FORMAT,)]


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
