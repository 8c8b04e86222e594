"""A lock of somebody else's in the middle of the way back: the attempt is given up, whole, and PostgreSQL goes on."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import psycopg
import pytest

from daemons import wait_until
from fix_migration import STOPPED
from fix_world import PATIENT, World
from freezing import freeze_at


def test_a_write_lock_that_keeps_sqlite_from_being_prepared_ends_the_way_back_and_writers_go_on(world: World) -> None:
    """The fence keeps nobody from taking the lock and writing nothing."""
    world.flip("cutover")
    sink = world.migration.sink
    process = freeze_at(world, "rollback", sink, "drained", busy_seconds="1")
    with closing(sqlite3.connect(world.migration.source, timeout=30, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        sink.thaw()
        said, errors = process.communicate(timeout=60)
        assert process.returncode == 1, said + errors
        assert "Given up" in said
        assert "opening SQLite" in said or "not yet" in said, said  # the words of whose time was over first
        world.writes_go_on()
        assert world.state().primary == "postgres"
    world.flip("rollback")
    world.end()


@pytest.mark.parametrize("lock", ["LOCK TABLE switchback.journal", "SELECT 1 FROM switchback.ledger FOR UPDATE"])
def test_a_lock_in_the_way_of_one_statement_of_postgresqls_fence_undoes_all_of_them(world: World, lock: str) -> None:
    """They go to the server together, and the COMMIT with them."""
    world.flip("cutover")
    with psycopg.connect(world.migration.dsn) as other:
        other.execute(lock.encode())
        assert "the writers were let go" in _given_up(world, "rollback")
        _assert_open(world)
        assert world.migration.capture.says("closing PostgreSQL", "lock timeout")
    world.flip("rollback")
    world.end()


def test_a_statement_of_postgresqls_fence_that_cannot_be_done_stops_capture_and_undoes_all_of_them(
    world: World,
) -> None:
    world.flip("cutover")
    with psycopg.connect(world.migration.dsn, autocommit=True) as db:
        db.execute("ALTER TABLE switchback.journal RENAME TO elsewhere")
        world.wait_in_step()
        process = world.start_flip("rollback", *PATIENT)
        world.migration.capture.assert_ended(STOPPED, "closing PostgreSQL", "switchback.journal")
        _assert_open(world)
        said, errors = process.communicate(timeout=90)
        assert process.returncode == STOPPED, said + errors
        assert "Start capture: it lets the writers go" in errors
        db.execute("ALTER TABLE switchback.elsewhere RENAME TO journal")
    world.migration.capture.start()
    wait_until("the attempt is given up", lambda: world.state().attempt is None)
    _assert_open(world)
    world.flip("rollback")
    world.end()


def _given_up(world: World, verb: str) -> str:
    """What is said of a switch that was begun; one that was refused, as may be on a busy machine, is tried again."""
    said = ""
    while "Given up" not in said:
        world.wait_in_step()
        said = world.flip(verb, *PATIENT, code=1)
    return said


def _assert_open(world: World) -> None:
    """PostgreSQL takes the writes as before, and says so of itself."""
    world.writes_go_on()
    assert world.state().primary == "postgres"
    with psycopg.connect(world.migration.dsn) as db:
        assert db.execute("SELECT role, epoch FROM switchback.side").fetchall() == [("primary", 1)]
