"""A target that is wrong, closed, full, or that goes away in the middle of a COPY."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from comparing import TABLES, assert_equal, assert_receipts
from daemons import Daemon, Migration, wait_until
from fix_migration import BAD_INPUT, STOPPED, Begin
from fix_proxy import CutProxy
from shared.embedded_postgres import EmbeddedPostgres
from traffic import Traffic

MakeProxy = Callable[[str, int], CutProxy]
SECRET = "pa55-w0rd"


@pytest.fixture
def db(postgres_dsn: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(postgres_dsn, autocommit=True) as db:
        yield db


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("nonsense", ("no address like", "postgresql://")),
        ("postgresql://joe:{secret}@{host}:{port}/{dbname}?speed=9", ("no address like", "postgresql://")),
        ("postgresql://joe:{secret}@db..example/app", ("host name", "db..example", "postgresql://")),
        ("postgresql://{user}:{secret}@{host}:{port}/{dbname}", ("password", "Correct the password")),
        ("postgresql://{user}:{password}@{host}:{port}/missing", ('database "missing" does not exist', "Correct")),
    ],
    ids=["no DSN", "unknown option", "impossible host", "wrong password", "no such database"],
)
def test_a_wrong_target_is_refused_without_its_password_until_it_is_put_right(
    begin: Begin, own_target: str, target: str, words: tuple[str, ...]
) -> None:
    migration = begin(own_target, bulk=300)
    wrong = target.format(secret=SECRET, **conninfo_to_dict(own_target))
    migration.capture.start()
    migration.sink.start(target=wrong)
    migration.sink.assert_ended(BAD_INPUT, *words)
    assert SECRET not in migration.sink.output
    migration.sink.start()
    migration.wait_in_step()
    assert_equal(migration.source, migration.dsn, *TABLES)


@pytest.fixture
def own_target(postgres_dsn: str) -> str:
    if not conninfo_to_dict(postgres_dsn).get("password"):
        pytest.skip("the server asks for no password")
    return postgres_dsn


@pytest.fixture
def poor_dsn(db: psycopg.Connection[Any], postgres_dsn: str) -> Iterator[str]:
    """The DSN of a role that may connect, and nothing else."""
    role = f"poor_{uuid4().hex[:8]}"
    db.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{SECRET}'".encode())
    yield make_conninfo(postgres_dsn, user=role, password=SECRET)
    db.execute(f"DROP OWNED BY {role} CASCADE; DROP ROLE {role}".encode())


def test_a_role_without_rights_is_told_what_it_lacks_and_goes_on_with_it(
    db: psycopg.Connection[Any], postgres_dsn: str, poor_dsn: str, begin: Begin
) -> None:
    """``begin`` comes last and so ends first: its daemons must be gone when their role is dropped."""
    migration = begin(poor_dsn)
    role, database = conninfo_to_dict(poor_dsn)["user"], db.info.dbname
    with Traffic(migration.source, rate=30) as traffic:
        migration.start()
        migration.sink.assert_ended(BAD_INPUT, "permission denied", "database", "GRANT")
        db.execute(f"GRANT ALL ON DATABASE {database} TO {role}".encode())
        migration.sink.start()
        migration.sink.assert_ended(BAD_INPUT, "permission denied", "schema public", "GRANT")
        db.execute(f"GRANT ALL ON SCHEMA public TO {role}".encode())
        migration.sink.start()
        migration.wait_in_step()
        traffic.end()
    migration.wait_in_step()
    assert SECRET not in migration.sink.output
    assert_receipts(traffic, postgres_dsn)
    assert_equal(migration.source, postgres_dsn, *TABLES)


def test_a_target_that_is_not_empty_is_refused_until_its_table_is_gone(
    migration: Migration, db: psycopg.Connection[Any]
) -> None:
    db.execute("CREATE TABLE account (id bigint PRIMARY KEY, owner text, balance bigint)")
    db.execute("INSERT INTO account VALUES (1, 'mine', 1)")
    migration.start()
    migration.sink.assert_ended(BAD_INPUT, "account", "existing")
    assert db.execute("SELECT * FROM account").fetchall() == [(1, "mine", 1)]
    db.execute("DROP TABLE account")
    migration.sink.start()
    migration.wait_in_step()
    assert_equal(migration.source, migration.dsn, *TABLES)


def test_a_table_that_somebody_dropped_in_postgresql_stops_it_with_its_name(
    migration: Migration, db: psycopg.Connection[Any]
) -> None:
    migration.start()
    migration.wait_in_step()
    db.execute("ALTER TABLE receipt RENAME TO hidden")
    with Traffic(migration.source, rate=30) as traffic:
        migration.sink.assert_ended(STOPPED, "is gone", "table receipt", "restore it")
        db.execute("ALTER TABLE hidden RENAME TO receipt")
        migration.sink.start()
        traffic.end()
    migration.wait_in_step()
    assert_receipts(traffic, migration.dsn)
    assert_equal(migration.source, migration.dsn, *TABLES)


def test_a_server_that_is_away_at_the_start_is_waited_for(begin: Begin, own_postgres: EmbeddedPostgres) -> None:
    migration = begin(own_postgres.dsn)
    own_postgres.stop()
    migration.start()
    wait_until("the sink waits", lambda: migration.sink.says("waiting to try again", "PostgreSQL cannot be reached"))
    own_postgres.start()
    migration.wait_in_step()
    assert len(migration.sink.says("waiting to try again", "refused")) == 1
    assert_equal(migration.source, migration.dsn, *TABLES)


@pytest.fixture
def proxy(cut_proxy: MakeProxy, postgres_dsn: str) -> CutProxy:
    parts = conninfo_to_dict(postgres_dsn)
    return cut_proxy(str(parts["host"]), int(parts["port"] or 5432))


def _through(proxy: CutProxy, dsn: str) -> str:
    return make_conninfo(dsn, host="127.0.0.1", port=proxy.port)


def test_connections_cut_in_the_middle_of_a_copy_lose_and_double_nothing(
    begin: Begin, proxy: CutProxy, db: psycopg.Connection[Any], postgres_dsn: str
) -> None:
    migration = begin(_through(proxy, postgres_dsn), bulk=60_000, chunk_rows="10000", stream="copied")
    with Traffic(migration.source, rate=30) as traffic:
        proxy.stall(100_000)  # a chunk is several times as large
        migration.start()
        for following in (True, True, False):
            wait_until("PostgreSQL waits for the rest of a COPY", lambda: proxy.stalled.is_set() and _copies(db))
            if following:
                proxy.stall(100_000)
            proxy.cut()
        migration.wait_in_step()
        traffic.end()
    migration.wait_in_step()
    assert migration.sink.says("waiting to try again", "PostgreSQL")
    assert not migration.sink.says("Traceback")
    assert_receipts(traffic, postgres_dsn)
    assert_equal(migration.source, postgres_dsn, *TABLES)


def _copies(db: psycopg.Connection[Any]) -> bool:
    """Whether a COPY is under way."""
    query = "SELECT 1 FROM pg_stat_progress_copy WHERE datname = current_database()"
    return bool(db.execute(query).fetchall())


def test_connections_cut_anywhere_lose_and_double_nothing(begin: Begin, proxy: CutProxy, postgres_dsn: str) -> None:
    migration = begin(_through(proxy, postgres_dsn), stream="cut")
    choose = random.Random(11)
    with Traffic(migration.source, rate=100) as traffic:
        migration.start()
        for _ in range(15):
            time.sleep(choose.uniform(0.05, 0.4))
            proxy.cut()
        migration.wait_in_step()
        traffic.end()
    migration.wait_in_step()
    assert not migration.sink.says("Traceback")
    assert_receipts(traffic, postgres_dsn)
    assert_equal(migration.source, postgres_dsn, *TABLES)


def test_a_sink_that_slept_through_a_takeover_applies_nothing_when_it_wakes(
    migration: Migration, db: psycopg.Connection[Any], tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    second = Daemon("sink", {**migration.settings, "state_dir": str(elsewhere)}, elsewhere)
    with closing(_Killing(second)), Traffic(migration.source, rate=50) as traffic:
        migration.start()
        migration.wait_in_step()
        migration.sink.freeze()
        second.start()
        wait_until("the second one waits", lambda: second.says("another sink"))
        db.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE '%sink app'")
        seq = migration.source_seq()
        wait_until("the second one applies", lambda: (ledger := migration.ledger()) and ledger.seq > seq)
        taken = migration.ledger()
        migration.sink.thaw()
        wait_until("the first one waits", lambda: migration.sink.says("another sink"))
        seq = migration.source_seq()
        wait_until("the second one goes on", lambda: (ledger := migration.ledger()) and ledger.seq > seq)
        ledger = migration.ledger()
        assert taken
        assert ledger
        assert ledger.token == taken.token
        assert second.running
        second.kill()
        traffic.end()
        wait_until("the first one has taken over again", migration.in_step)
    assert_receipts(traffic, migration.dsn)
    assert_equal(migration.source, migration.dsn, *TABLES)


class _Killing:
    """Kills a daemon at the end of the block."""

    def __init__(self, daemon: Daemon) -> None:
        self.close = daemon.kill
