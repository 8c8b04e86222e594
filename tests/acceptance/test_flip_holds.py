"""What may happen while the writers are held: they get through in the end, on one side, and nothing is lost."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing

import psycopg
import pytest

from autovacuum import slow_autovacuum
from daemons import wait_until
from fix_kafka import Broker
from fix_migration import STOPPED
from fix_world import PATIENT, MakeWorld, World
from shared.embedded_postgres import EmbeddedPostgres


@pytest.mark.parametrize("verb", ["cutover", "rollback"])
def test_a_broker_that_goes_in_the_hold_delays_the_writers_and_no_more(
    own_kafka: Broker, postgres_dsn: str, make_world: MakeWorld, verb: str
) -> None:
    world = make_world(postgres_dsn, f"kafka://{own_kafka.bootstrap}")
    if verb == "rollback":
        world.flip("cutover")
    process = world.freeze_in_hold(verb, "--max-pause", "3")
    own_kafka.kill()
    world.migration.sink.thaw()
    time.sleep(1.0)
    own_kafka.start()
    process.communicate(timeout=90)
    world.command("resume")
    wait_until("nothing is under way", lambda: world.state().attempt is None)
    world.end()


@pytest.mark.slow
def test_a_capture_that_stands_still_when_it_is_asked_ends_the_attempt_before_any_writer_waits(world: World) -> None:
    """It stood still behind the prechecks, which would have refused it."""
    world.wait_in_step()
    postponed = world.migration.source.with_name("postponed")
    postponed.touch()
    process = world.start_flip("cutover", "--postpone", str(postponed), "--max-pause", "1")
    wait_until("it is ready", lambda: "Ready" in process.said)
    world.migration.capture.freeze()
    postponed.unlink()
    wait_until("it is given up", lambda: _given_up(world))
    world.writes_go_on()
    world.migration.capture.thaw()
    said, errors = process.communicate(timeout=60)
    assert process.returncode == 1, said + errors
    assert "is capture running?" in said
    assert "No writer was held." in said
    world.flip("cutover")
    world.end()


def _given_up(world: World) -> bool:
    """Given up, and capture has not answered that yet."""
    attempt = world.state().attempt
    return attempt is not None and attempt.aborted is not None


def test_a_lock_that_keeps_postgresql_from_being_prepared_ends_the_attempt_and_writers_go_on(world: World) -> None:
    with psycopg.connect(world.migration.dsn) as other:
        other.execute("SELECT 1 FROM switchback.side FOR UPDATE")
        said = world.flip("cutover", "--max-pause", "4", code=1)
        assert "opening PostgreSQL" in said or "prepared" in said
        world.writes_go_on()
    wait_until("nothing is under way", lambda: world.state().attempt is None)
    wait_until("the sink works again", lambda: _flips(world, "cutover"))
    world.end()


def test_autovacuum_gives_way_to_a_switch_before_anybody_waits(
    own_postgres: EmbeddedPostgres, make_world: MakeWorld
) -> None:
    """Whoever needs the lock waits until PostgreSQL looks for deadlocks: longer, here, than the sink will."""
    with psycopg.connect(own_postgres.dsn, autocommit=True) as db:
        db.execute("ALTER SYSTEM SET deadlock_timeout = '3s'")
        db.execute("SELECT pg_reload_conf()")
    world = make_world(own_postgres.dsn)
    for verb in ("cutover", "rollback"):
        with slow_autovacuum(own_postgres.dsn, "bulk"):
            world.flip(verb)
    world.end()


def test_ddl_that_comes_in_the_hold_of_postgresql_ends_the_attempt_and_nothing_slips_between(world: World) -> None:
    """It waits for the lock that holds the writers, and in its queue the last comparison waits for it."""
    world.flip("cutover")
    world.writes_go_on()

    def alter() -> None:
        with psycopg.connect(world.migration.dsn, autocommit=True) as db:
            db.execute("ALTER TABLE bulk ADD COLUMN extra text")

    said = _in_a_hold(world, "rollback", alter, lambda: _somebody_waits_for(world, "bulk"), 1)
    assert "Given up" in said
    world.migration.capture.assert_ended(STOPPED, "table bulk", "extra text came")
    assert "extra text came" in world.flip("rollback", code=1)
    world.writes_go_on()
    with psycopg.connect(world.migration.dsn, autocommit=True) as db:
        db.execute("ALTER TABLE bulk DROP COLUMN extra")
    world.migration.capture.start()
    wait_until("the way back is open again", lambda: _flips(world, "rollback"))
    world.end()


def test_a_table_that_is_dropped_on_the_primary_postgresql_stops_capture_by_name(world: World) -> None:
    world.flip("cutover")
    world.writes_go_on()
    with psycopg.connect(world.migration.dsn) as db:
        db.execute("LOCK TABLE item, part")  # in the order in which writers take them: DROP alone may deadlock
        db.execute("DROP TABLE part")
    world.migration.capture.assert_ended(STOPPED, "table part", "gone")


def test_a_table_that_is_dropped_in_the_hold_of_postgresql_ends_the_attempt_and_stops_capture_by_name(
    world: World,
) -> None:
    world.flip("cutover")
    world.writes_go_on()

    def drop() -> None:
        with psycopg.connect(world.migration.dsn) as db:
            db.execute("LOCK TABLE item, part")  # in the order in which writers take them: DROP alone may deadlock
            db.execute("DROP TABLE part")

    said = _in_a_hold(world, "rollback", drop, lambda: _somebody_waits_for(world, "item"), 1)
    assert "Given up" in said
    assert world.state().primary == "postgres"
    world.migration.capture.assert_ended(STOPPED, "table part", "gone")


@pytest.mark.parametrize("ddl", ["ALTER TABLE part ADD COLUMN extra TEXT", "DROP TABLE part"])
def test_ddl_that_comes_in_the_hold_of_sqlite_waits_and_is_met_on_the_closed_file(world: World, ddl: str) -> None:
    begins = threading.Event()

    def change() -> None:
        with closing(sqlite3.connect(world.migration.source, timeout=30)) as db:
            begins.set()
            db.execute(ddl)

    _in_a_hold(world, "cutover", change, begins.is_set, 0)
    assert world.state().primary == "postgres"
    world.writes_go_on()
    world.migration.sink.assert_ended(STOPPED, "part", "copy again")
    world.writes_go_on()


def test_how_far_behind_the_old_primary_is_and_until_when_one_can_go_back_is_said(
    kafka_bootstrap: str, postgres_dsn: str, make_world: MakeWorld
) -> None:
    world = make_world(postgres_dsn, f"kafka://{kafka_bootstrap}")
    world.flip("cutover")
    world.migration.sink.stop()
    world.writes_go_on(60)
    time.sleep(2.5)
    status = world.command("status", "--json").json
    assert status["lag_changes"] > 0
    assert status["lag_seconds"] > 2.0
    assert status["switch"]["way_back"].startswith("until ")
    world.migration.sink.start()
    world.end()
    wait_until("it has caught up", lambda: world.command("status", "--json").json["synced"])


def _flips(world: World, verb: str) -> bool:
    said = world.command(verb, "--unverified")
    return said.code == 0 or "primary already" in said.errors  # the attempt before went on behind its operator


_WAITING = "SELECT 1 FROM pg_locks WHERE relation = %s::regclass AND mode = 'AccessExclusiveLock' AND NOT granted"


def _somebody_waits_for(world: World, table: str) -> bool:
    """To have that table of PostgreSQL's for himself."""
    with psycopg.connect(world.migration.dsn) as db:
        return bool(db.execute(_WAITING, (table,)).fetchall())


def _in_a_hold(world: World, verb: str, act: Callable[[], None], waits: Callable[[], object], code: int) -> str:
    """Act between ``held`` and what follows, which waits for the sink until the act has begun to wait."""
    process = world.freeze_in_hold(verb, *(() if code else PATIENT))
    try:
        acting = threading.Thread(target=act, daemon=True)
        acting.start()
        wait_until("it waits for the hold", waits)
        time.sleep(0.1)  # SQLite does not say who waits
        assert acting.is_alive(), "it did not wait for the hold"
    finally:
        world.migration.sink.thaw()
    said, errors = process.communicate(timeout=60)
    assert process.returncode == code, said + errors
    acting.join(30)
    assert not acting.is_alive()
    return said
