"""What happens around the daemons while an application writes: servers go, rivals come, files change.

Each test ends the same way: every acknowledged write is in PostgreSQL once, or the stream stands still and says why.
"""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from comparing import TABLES, assert_equal, assert_receipts
from daemons import Daemon, Migration, wait_until
from fix_kafka import Broker
from shared.embedded_postgres import EmbeddedPostgres
from traffic import Traffic, make_database

STOPPED = 3
BAD_INPUT = 2


Begin = Callable[..., Migration]


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Begin]:
    """Make migrations that are killed at the end, however the test ends."""
    made: list[Migration] = []

    def make(dsn: str, log: str = "", *, wal: bool = True, **settings: str) -> Migration:
        source = make_database(tmp_path / "app.db", bulk=3_000, wal=wal)
        made.append(
            Migration(source, dsn, log, folder=None, **{"chunk_rows": "200", "prune_seconds": "0.2", **settings})
        )
        return made[-1]

    yield make
    for migration in made:
        migration.kill()


@pytest.fixture
def migration(begin: Begin, postgres_dsn: str) -> Migration:
    return begin(postgres_dsn)


def assert_all_there(migration: Migration, traffic: Traffic) -> None:
    wait_until("there was some traffic", lambda: len(traffic.acknowledged) > 20)
    traffic.end()
    migration.wait_in_step()
    assert_receipts(traffic, migration.dsn)
    assert_equal(migration.source, migration.dsn, *TABLES)
    for daemon in (migration.capture, migration.sink):
        assert "Traceback" not in daemon.output


def ended(daemon: Daemon, code: int, *words: str) -> None:
    assert daemon.wait() == code, daemon.output[-2000:]
    last = daemon.output.strip().splitlines()[-1]
    assert all(word in last for word in words), last
    assert "Traceback" not in daemon.output


def test_postgresql_is_restarted_in_the_middle(begin: Begin, own_postgres: EmbeddedPostgres) -> None:
    migration = begin(own_postgres.dsn)
    with Traffic(migration.source, rate=50) as traffic:
        migration.start()
        migration.wait_in_step()
        for mode in ("fast", "immediate"):
            own_postgres.stop(mode)
            time.sleep(0.5)
            own_postgres.start()
            time.sleep(0.5)
        assert_all_there(migration, traffic)


def test_the_broker_is_away_at_the_start_and_in_the_middle(
    begin: Begin, tmp_path: Path, postgres_dsn: str, own_kafka: Broker
) -> None:
    migration = begin(postgres_dsn, f"kafka://{own_kafka.bootstrap}", stream=f"away-{tmp_path.name}")
    own_kafka.stop()
    with Traffic(migration.source, rate=50) as traffic:
        migration.start()
        wait_until("capture says that it waits", lambda: "waiting to try again" in migration.capture.output)
        own_kafka.start()
        migration.wait_in_step()
        own_kafka.stop()
        time.sleep(1)
        own_kafka.start()
        assert_all_there(migration, traffic)


def test_a_second_capture_is_refused_on_the_same_machine(migration: Migration) -> None:
    migration.start()
    migration.wait_in_step()
    other = migration.source.parent / "other"
    other.mkdir()
    rival = Daemon("capture", migration.settings, other)
    rival.start()
    ended(rival, BAD_INPUT, "running", migration.stream)
    assert migration.capture.running


def test_a_capture_that_was_asleep_while_another_took_over_stops(migration: Migration, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    rival = Daemon("capture", {**migration.settings, "state_dir": str(elsewhere)}, elsewhere)
    with Traffic(migration.source, rate=50) as traffic:
        migration.start()
        migration.wait_in_step()
        migration.capture.freeze()
        rival.start()
        seq = migration.source_seq()
        wait_until("the rival publishes", lambda: (ledger := migration.ledger()) and ledger.seq > seq)
        migration.capture.thaw()
        ended(migration.capture, STOPPED, "another capture has taken over")
        traffic.end()
        wait_until("the replica is in step", migration.in_step)
    assert_receipts(traffic, migration.dsn)
    assert_equal(migration.source, migration.dsn, *TABLES)
    rival.kill()


def test_a_second_sink_waits_and_takes_over(migration: Migration, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    second = Daemon("sink", {**migration.settings, "state_dir": str(elsewhere)}, elsewhere)
    with Traffic(migration.source, rate=50) as traffic:
        migration.start()
        migration.wait_in_step()
        second.start()
        wait_until("the second one waits", lambda: "another sink" in second.output)
        migration.sink.kill()
        traffic.end()
        wait_until("the replica is in step", migration.in_step)
    assert second.running
    assert_receipts(traffic, migration.dsn)
    assert_equal(migration.source, migration.dsn, *TABLES)
    second.kill()


@pytest.mark.parametrize("running", [True, False], ids=["while it runs", "while it is away"])
def test_a_file_that_was_replaced_by_an_older_copy_stops_it(
    migration: Migration, tmp_path: Path, *, running: bool
) -> None:
    backup = tmp_path / "backup.db"
    migration.start()
    migration.wait_in_step()
    with closing(sqlite3.connect(migration.source)) as db, closing(sqlite3.connect(backup)) as copy:
        db.backup(copy)
        db.execute("UPDATE account SET balance = balance + 1 WHERE id < 3")
        db.commit()
    migration.wait_in_step()
    if not running:
        migration.capture.stop()
    shutil.move(backup, migration.source)
    for suffix in ("-wal", "-shm"):
        migration.source.with_name(migration.source.name + suffix).unlink(missing_ok=True)
    if not running:
        migration.capture.start()
    ended(migration.capture, STOPPED, "opy again")


@pytest.mark.parametrize(
    "ddl",
    [
        "ALTER TABLE account ADD COLUMN note TEXT",
        "DROP TABLE bulk",
        "CREATE TABLE copy AS SELECT * FROM account; DROP TABLE account; ALTER TABLE copy RENAME TO account",
    ],
)
@pytest.mark.parametrize("running", [True, False], ids=["while it runs", "while it is away"])
def test_a_migration_of_the_application_stops_it(migration: Migration, ddl: str, *, running: bool) -> None:
    migration.start()
    migration.wait_in_step()
    if not running:
        migration.capture.stop()
    with closing(sqlite3.connect(migration.source)) as db:
        db.executescript(ddl)
    if not running:
        migration.capture.start()
    ended(migration.capture, STOPPED, "migration", "opy again")


def test_a_lock_that_is_held_for_long_is_waited_for(begin: Begin, postgres_dsn: str) -> None:
    migration = begin(postgres_dsn, busy_seconds="0.3")
    with closing(sqlite3.connect(migration.source, isolation_level=None)) as db:
        db.execute("BEGIN EXCLUSIVE")
        migration.start()
        wait_until("capture says that it waits", lambda: "locked" in migration.capture.output)
        db.execute("ROLLBACK")
    migration.wait_in_step()
    assert_equal(migration.source, migration.dsn, *TABLES)


def test_a_target_that_is_not_empty_is_refused(migration: Migration) -> None:
    with psycopg.connect(migration.dsn) as db:
        db.execute("CREATE TABLE account (id bigint PRIMARY KEY, owner text, balance bigint)")
        db.execute("INSERT INTO account VALUES (1, 'mine', 1)")
    migration.start()
    ended(migration.sink, BAD_INPUT, "account", "existing")


def test_a_rollback_journal_is_served_too(begin: Begin, postgres_dsn: str) -> None:
    migration = begin(postgres_dsn, wal=False)
    with Traffic(migration.source, rate=50) as traffic:
        migration.start()
        migration.wait_in_step()
        assert_all_there(migration, traffic)
    assert not traffic.trouble
