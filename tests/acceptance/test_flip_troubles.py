"""What may come in the way of a switch, or in its middle: writers go on, or it goes through; never both sides."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import threading
import time
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from comparing import TABLES, assert_equal
from daemons import wait_until
from failover import Standby
from fix_migration import STOPPED, Begin
from fix_world import PATIENT, MakeWorld, World
from shared.embedded_postgres import EmbeddedPostgres


def test_a_long_write_transaction_in_sqlite_refuses_it_by_name_and_nobody_waits(world: World) -> None:
    with closing(sqlite3.connect(world.migration.source, timeout=30, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        said = world.flip("cutover", code=1)
        assert "write lock" in said
        assert f"process {os.getpid()} " in said
        other.execute("ROLLBACK")
    world.flip("cutover")
    world.end()


def test_a_long_transaction_in_postgresql_refuses_the_way_back_by_name(world: World) -> None:
    world.flip("cutover")
    with psycopg.connect(world.migration.dsn, application_name="nightly-report") as other:
        other.execute("UPDATE bulk SET a = a WHERE id = 2999")  # a row that no writer of the application's ever wants
        time.sleep(1.2)
        said = world.flip("rollback", code=1)
        assert "nightly-report" in said
        world.writes_go_on()
    world.flip("rollback")
    world.end()


def test_a_transaction_elsewhere_in_the_server_holds_nothing_back(world: World) -> None:
    with psycopg.connect(world.migration.dsn, autocommit=True) as db:
        db.execute("CREATE TABLE elsewhere (a int)")
    world.flip("cutover")
    with psycopg.connect(world.migration.dsn, application_name="nightly-report") as other:
        other.execute("INSERT INTO elsewhere VALUES (1)")
        world.writes_go_on()
        world.flip("rollback")
    world.end()


@pytest.mark.parametrize("verb", ["cutover", "rollback"])
def test_a_sink_that_stands_still_in_the_hold_ends_the_attempt_in_time_and_writers_go_on(
    world: World, verb: str
) -> None:
    if verb == "rollback":
        world.flip("cutover")
    process = world.freeze_in_hold(verb, "--max-pause", "3")
    world.writes_go_on()
    said, errors = process.communicate(timeout=60)
    assert process.returncode == 1, said + errors
    assert "not yet drained" in said or "is the sink running?" in said, said  # the words of whose time was over first
    world.migration.sink.thaw()
    world.flip(verb)
    world.end()


def test_an_operator_that_is_frozen_costs_the_writers_no_more_than_the_maximum(world: World) -> None:
    frozen = world.freeze_in_hold("cutover", "--max-pause", "2")
    frozen.send_signal(signal.SIGSTOP)
    world.migration.sink.thaw()
    wait_until("the attempt is over", lambda: world.state().attempt is None)
    frozen.send_signal(signal.SIGCONT)
    frozen.communicate(timeout=60)
    assert world.state().epoch == 0
    world.writes_go_on()
    world.flip("cutover")
    world.end()


def test_of_two_operators_one_goes_through(world: World) -> None:
    world.wait_in_step()
    both = [world.start_flip("cutover", *PATIENT) for _ in range(2)]
    for process in both:
        process.communicate(timeout=60)
    codes = sorted(process.wait() for process in both)
    assert codes[0] == 0
    assert codes[1] in {1, 2, STOPPED}
    assert world.state().epoch == 1
    world.end()


@pytest.mark.parametrize("name", ["capture", "sink"])
def test_a_daemon_of_the_old_epoch_that_wakes_up_harms_nothing(world: World, name: str, begin: Begin) -> None:
    migration = world.migration
    stale = getattr(migration, name)
    stale.freeze()
    second = begin(
        migration.dsn,
        migration.settings["log"],
        source=migration.source,
        stream=migration.stream,
        state_dir=str(migration.source.parent / "second"),
    )
    (migration.source.parent / "second").mkdir()
    fresh = getattr(second, name)
    fresh.start()
    if name == "sink":
        _end_sessions(migration.dsn)
    wait_until("the fresh one has taken over", lambda: _flips(world))
    assert world.state().epoch == 1
    world.writes_go_on()
    stale.thaw()
    world.writes_go_on(60)
    if not stale.running:
        assert "Traceback" not in stale.output
    world.end()
    stale.kill()


def _end_sessions(dsn: str) -> None:
    """As PostgreSQL does with those of a client that is away: else nobody could take over from the sink."""
    with psycopg.connect(dsn, autocommit=True) as db:
        db.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE '%sink app'")


def _flips(world: World) -> bool:
    said = world.command("cutover", "--unverified", "--max-pause", "2")
    return said.code == 0 or "primary already" in said.errors


def test_postgresql_that_goes_in_the_hold_of_sqlite_lets_writers_go_on_while_it_is_down(
    own_postgres: EmbeddedPostgres, make_world: MakeWorld
) -> None:
    world = make_world(own_postgres.dsn)
    process = world.freeze_in_hold("cutover", *PATIENT)
    own_postgres.stop("immediate")
    world.migration.sink.thaw()
    world.writes_go_on()
    said, errors = process.communicate(timeout=90)
    assert process.returncode == 1, said + errors
    assert "Given up" in said
    own_postgres.start()
    world.flip("cutover")
    world.end()


def test_postgresql_that_goes_in_its_own_hold_takes_the_writers_when_it_is_back(
    own_postgres: EmbeddedPostgres, make_world: MakeWorld
) -> None:
    """The hold goes with it, so it can never be closed: the attempt is over, whatever else had been done for it."""
    world = make_world(own_postgres.dsn)
    world.flip("cutover")
    process = world.freeze_in_hold("rollback", *PATIENT)
    own_postgres.stop("immediate")
    world.migration.sink.thaw()
    own_postgres.start()
    said, errors = process.communicate(timeout=90)
    assert process.returncode != 0, said + errors
    wait_until("nothing is under way", lambda: world.state().attempt is None)
    assert world.state().primary == "postgres"
    world.writes_go_on()
    world.flip("rollback")
    world.end()


def test_ddl_on_the_closed_file_stops_the_sink_with_what_to_do(world: World) -> None:
    world.flip("cutover")
    world.writes_go_on()
    with closing(sqlite3.connect(world.migration.source, timeout=30)) as file:
        file.execute("DROP TABLE part")
    world.migration.sink.assert_ended(STOPPED, "part", "copy again")
    world.writes_go_on()


def test_postgresql_restored_from_a_backup_is_found_out(
    own_postgres: EmbeddedPostgres, make_world: MakeWorld, tmp_path: Path
) -> None:
    world = make_world(own_postgres.dsn)
    with psycopg.connect(own_postgres.dsn) as db:
        [[folder]] = db.execute("SHOW data_directory").fetchall()
    data = Path(folder)
    own_postgres.stop()
    subprocess.run(["cp", "-a", data, tmp_path / "backup"], check=True)  # with its owner
    own_postgres.start()
    world.migration.wait_in_step()
    world.flip("cutover")
    world.writes_go_on()
    world.application.end()
    world.prober.end()
    world.migration.stop()
    own_postgres.stop()
    shutil.rmtree(data)
    subprocess.run(["cp", "-a", tmp_path / "backup", data], check=True)
    own_postgres.start()
    world.migration.capture.start()
    world.migration.capture.assert_ended(STOPPED, "restored")


def test_a_standby_that_lacks_commits_takes_over_and_nothing_more_is_published(
    own_postgres: EmbeddedPostgres, make_world: MakeWorld, tmp_path: Path
) -> None:
    world = make_world(own_postgres.dsn)
    world.flip("cutover")
    world.application.end()
    world.prober.end()
    world.wait_in_step()
    standby = Standby(own_postgres, tmp_path)
    _write_and_wait(world, 7, "kept")
    standby.replays_up_to_here()
    _write_and_wait(world, 8, "lost")
    standby.takes_over()
    with psycopg.connect(own_postgres.dsn) as application:
        application.execute("UPDATE bulk SET b = 'written on the standby' WHERE id = 9")
    world.migration.capture.assert_ended(STOPPED, "PostgreSQL lost commits")
    with closing(sqlite3.connect(world.migration.source)) as db:
        [before, after] = db.execute("SELECT b FROM bulk WHERE id IN (8, 9) ORDER BY id").fetchall()
    assert before == ("lost",)
    assert after != ("written on the standby",)


def _write_and_wait(world: World, key: int, text: str) -> None:
    with psycopg.connect(world.migration.dsn) as application:
        application.execute("UPDATE bulk SET b = %s WHERE id = %s", (text, key))
    with closing(sqlite3.connect(world.migration.source)) as db:
        query = "SELECT b FROM bulk WHERE id = ?"
        wait_until("SQLite has it", lambda: db.execute(query, (key,)).fetchone() == (text,))


def test_an_older_copy_of_the_closed_file_is_found_out(world: World, tmp_path: Path) -> None:
    older = tmp_path / "older.db"
    with closing(sqlite3.connect(world.migration.source)) as db, closing(sqlite3.connect(older)) as copy:
        db.backup(copy)
    world.flip("cutover")
    world.application.end()
    world.prober.end()
    world.migration.stop()
    for suffix in ("-wal", "-shm"):
        Path(f"{world.migration.source}{suffix}").unlink(missing_ok=True)
    shutil.copy(older, world.migration.source)
    world.migration.sink.start()
    world.migration.sink.assert_ended(STOPPED, "restored")


def test_a_closed_file_that_is_replaced_by_its_copy_stops_the_sink_and_is_followed_after_a_restart(
    world: World, tmp_path: Path
) -> None:
    world.flip("cutover")
    world.application.end()
    world.prober.end()
    world.wait_in_step()
    source, new = world.migration.source, tmp_path / "new.db"
    with closing(sqlite3.connect(source)) as db:
        db.execute("VACUUM INTO ?", (str(new),))
    for suffix in ("-wal", "-shm"):
        Path(f"{source}{suffix}").unlink(missing_ok=True)
    new.replace(source)
    with psycopg.connect(world.migration.dsn, autocommit=True) as application:
        application.execute("UPDATE bulk SET a = 424242 WHERE id = 7")
    world.migration.sink.assert_ended(STOPPED, "replaced by another one")
    world.migration.sink.start()
    world.flip("rollback")
    assert_equal(source, world.migration.dsn, *TABLES)
    with closing(sqlite3.connect(source)) as db:
        assert db.execute("SELECT a FROM bulk WHERE id = 7").fetchone() == (424242,)


def test_there_and_back_without_wal(begin: Begin, postgres_dsn: str) -> None:
    world = World(begin(postgres_dsn, wal=False))
    try:
        for verb in ("cutover", "rollback", "cutover"):
            world.writes_go_on()
            world.flip(verb)
        world.end()
    finally:
        world.close()


def test_a_reader_with_an_old_view_of_the_file_goes_on_reading(world: World) -> None:
    with closing(sqlite3.connect(world.migration.source, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        before = reader.execute("SELECT count(*) FROM receipt").fetchone()
        world.flip("cutover")
        world.writes_go_on()
        assert reader.execute("SELECT count(*) FROM receipt").fetchone() == before
        with pytest.raises(sqlite3.Error):
            reader.execute("UPDATE bulk SET a = 1 WHERE id = 1")
    world.end()


def test_a_writer_that_never_learns_is_refused_and_counted(world: World) -> None:
    world.flip("cutover")
    world.flip("rollback")
    stop = threading.Event()
    refused: list[str] = []

    def insist() -> None:
        with psycopg.connect(world.migration.dsn, autocommit=True, application_name="forgotten") as db:
            while not stop.wait(0.01):
                try:
                    db.execute("UPDATE bulk SET a = -1 WHERE id = 3")
                except psycopg.Error as error:
                    refused.append(str(error.sqlstate))

    stubborn = threading.Thread(target=insist, daemon=True)
    stubborn.start()
    wait_until("it was refused", lambda: len(refused) > 20)
    status = world.command("status", "--json").json
    stop.set()
    stubborn.join()
    assert set(refused) == {"SB001"}
    assert status["switch"]["refused"] > 20
    assert "forgotten" in status["switch"]["refused_last"] or "no name" in status["switch"]["refused_last"]
    world.end()
