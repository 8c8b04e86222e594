"""Numbers that the databases themselves give to new rows, over switches there and back.

The application gives no number.  Each of its transactions deletes the last row that it made, so that what was given
out last stands in no row: the other side never sees it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
import pytest

from command import QuickCommand
from daemons import Migration, wait_until
from fix_migration import Begin
from fix_world import PATIENT
from shared.tables import ROWID

DDL = """
PRAGMA journal_mode = WAL;
CREATE TABLE counted (id INTEGER PRIMARY KEY AUTOINCREMENT, note TEXT);
CREATE TABLE plain (id INTEGER PRIMARY KEY, note TEXT);
CREATE TABLE keyless (note TEXT);
"""
TABLES = ("counted", "plain", "keyless")
KEYLESS = {"sqlite": "rowid", "postgres": ROWID}
SWITCHES = ("cutover", "rollback", "cutover")


class Turn(NamedTuple):
    """One transaction: the highest number of the rows that were there, and what its own rows were given."""

    highest: int
    given: list[int]


@pytest.fixture
def migration(begin: Begin, postgres_dsn: str, tmp_path: Path) -> Migration:
    path = tmp_path / "numbers.db"
    with closing(sqlite3.connect(path)) as db:
        db.executescript(DDL)
    return begin(postgres_dsn, source=path)


@contextmanager
def transaction(migration: Migration, side: str) -> Iterator[Any]:
    if side == "postgres":
        with psycopg.connect(migration.dsn) as postgres:
            yield postgres
    else:
        with closing(sqlite3.connect(migration.source, timeout=15)) as sqlite, sqlite:
            yield sqlite


def key_of(table: str, side: str) -> str:
    return KEYLESS[side] if table == "keyless" else "id"


def write(migration: Migration, side: str, table: str) -> Turn:
    key = key_of(table, side)
    with transaction(migration, side) as db:
        (highest,) = db.execute(f"SELECT coalesce(max({key}), 0) FROM {table}").fetchone()
        insert = f"INSERT INTO {table} (note) VALUES ('{side}') RETURNING {key}"
        given = [number for _ in range(3) for (number,) in db.execute(insert).fetchall()]
        db.execute(f"DELETE FROM {table} WHERE {key} = {given[-1]}")
    return Turn(highest, given)


def rows(migration: Migration, side: str) -> list[list[Any]]:
    with transaction(migration, side) as db:
        asked = [f"SELECT {key_of(table, side)}, note FROM {table} ORDER BY 1" for table in TABLES]
        return [db.execute(sql).fetchall() for sql in asked]


def switch(migration: Migration, verb: str) -> None:
    wait_until("the replica is in step", lambda: rows(migration, "sqlite") == rows(migration, "postgres"))
    said = QuickCommand(migration.source.parent, **migration.settings)(verb, "--unverified", *PATIENT)
    assert said.code == 0, said.out + said.errors + migration.capture.output[-2000:] + migration.sink.output[-2000:]


def turns(migration: Migration) -> dict[str, list[Turn]]:
    """What was written before the copy, behind it, and behind each switch, by table."""
    made = {table: [write(migration, "sqlite", table)] for table in TABLES}
    migration.start()
    migration.wait_in_step()
    primary = "sqlite"
    for verb in (*SWITCHES, ""):
        for table in TABLES:
            made[table].append(write(migration, primary, table))
        if verb:
            switch(migration, verb)
            primary = "postgres" if verb == "cutover" else "sqlite"
    return made


def test_no_number_of_autoincrement_is_given_out_twice_and_others_are_behind_every_row(migration: Migration) -> None:
    made = turns(migration)
    numbers = [number for turn in made["counted"] for number in turn.given]
    assert numbers == sorted(set(numbers))
    for table in ("plain", "keyless"):
        behind = [(turn.highest, turn.given) for turn in made[table] if min(turn.given) <= turn.highest]
        assert not behind, table


def test_tables_that_were_there_and_share_a_sequence_that_none_owns_go_on_behind_every_row(
    migration: Migration, postgres_dsn: str
) -> None:
    with psycopg.connect(postgres_dsn) as db:
        db.execute("CREATE SEQUENCE gid")
        for table in ("counted", "plain"):
            db.execute(f"CREATE TABLE {table} (id bigint PRIMARY KEY DEFAULT nextval('gid'), note text)".encode())
    made = turns(migration)
    for table in ("counted", "plain"):
        behind = [(turn.highest, turn.given) for turn in made[table] if min(turn.given) <= turn.highest]
        assert not behind, table
    numbers = [number for turn in made["counted"] for number in turn.given]
    assert numbers == sorted(set(numbers))
