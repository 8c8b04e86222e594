"""The prober of the switch's tests can fail: it reports two open sides, also for a moment, and not one alone."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from daemons import wait_until
from shared.postgres import fence as postgres_fence
from shared.postgres.reverse import install
from shared.sqlite import fence as sqlite_fence
from shared.sqlite.catalog import read_schema
from shared.sqlite.connection import connect, reading, writing
from switching import Prober

_ACCOUNT = "CREATE TABLE account (id INTEGER PRIMARY KEY, owner TEXT NOT NULL)"
_OWNER = "INSERT INTO account VALUES (0, 'owner')"


class Sides:
    """The table that the prober writes to, on two sides that nothing replicates; both are open at first."""

    def __init__(self, path: Path, dsn: str) -> None:
        self.path, self.dsn = path, dsn
        with closing(sqlite3.connect(path)) as application:
            application.executescript(f"PRAGMA journal_mode=WAL; {_ACCOUNT}; {_OWNER}")
        with closing(connect(path)) as db, closing(psycopg.connect(dsn, autocommit=True)) as pg:
            with reading(db):
                schema = read_schema(db)
            pg.execute(f"{_ACCOUNT}; {_OWNER}; CREATE SCHEMA switchback".encode())
            with pg.transaction():
                install(pg, "bank", schema)
        self.open("postgres")

    def open(self, side: str) -> None:
        self._set(side, closed=False)

    def close(self, side: str) -> None:
        self._set(side, closed=True)

    def _set(self, side: str, *, closed: bool) -> None:
        if side == "postgres":
            with psycopg.connect(self.dsn) as pg:
                postgres_fence.switch(pg, ["account"], primary=not closed)
            return
        with closing(connect(self.path, busy_seconds=30)) as db, writing(db):
            if closed:
                sqlite_fence.put_up(db, ["account"])
            else:
                sqlite_fence.take_down(db)


@pytest.fixture
def sides(tmp_path: Path, postgres_dsn: str) -> Sides:
    return Sides(tmp_path / "bank.db", postgres_dsn)


@pytest.fixture
def prober(sides: Sides) -> Iterator[Prober]:
    """Not begun yet."""
    prober = Prober(sides.path, sides.dsn)
    yield prober
    prober.end()


def _look(prober: Prober, times: int) -> None:
    until = prober.looks + times
    wait_until("it has looked", lambda: prober.looks >= until)


def test_two_sides_without_a_fence_are_seen_open_at_once(sides: Sides, prober: Prober) -> None:
    prober.start()
    wait_until("both are seen open", lambda: prober.both)
    assert prober.opened == {"sqlite", "postgres"}


@pytest.mark.parametrize(("primary", "replica"), [("sqlite", "postgres"), ("postgres", "sqlite")])
def test_of_a_side_that_is_open_alone_nothing_is_reported(
    sides: Sides, prober: Prober, primary: str, replica: str
) -> None:
    sides.close(replica)
    prober.start()
    _look(prober, 50)
    assert prober.opened == {primary}
    assert not prober.both


def test_a_change_of_primary_that_closes_before_it_opens_is_not_reported(sides: Sides, prober: Prober) -> None:
    sides.close("postgres")
    prober.start()
    for primary, replica in [("sqlite", "postgres"), ("postgres", "sqlite")] * 5:
        _look(prober, 2)
        sides.close(primary)
        sides.open(replica)
    _look(prober, 2)
    assert prober.opened == {"sqlite", "postgres"}
    assert not prober.both


@pytest.mark.parametrize(("primary", "replica"), [("sqlite", "postgres"), ("postgres", "sqlite")])
def test_one_that_opens_before_it_closes_is_reported(sides: Sides, prober: Prober, primary: str, replica: str) -> None:
    sides.close(replica)
    prober.start()
    _look(prober, 5)
    assert not prober.both
    sides.open(replica)
    _look(prober, 2)  # one may have been under way
    sides.close(primary)
    assert prober.both
