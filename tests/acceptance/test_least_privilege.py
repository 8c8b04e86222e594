"""Each program under the role that ``switchback grants postgres`` makes for it, and what the roles may not do."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from command import Command, Said
from comparing import TABLES, assert_equal
from daemons import Migration
from fix_migration import Begin
from fix_roles import Roles, print_grants
from switching import PostgresSide, SqliteSide


class Stream:
    """A migration whose programs have a role each."""

    def __init__(self, migration: Migration, roles: Roles) -> None:
        self.migration, self.roles = migration, roles

    def start(self) -> None:
        for daemon, role in ((self.migration.capture, "capture"), (self.migration.sink, "sink")):
            daemon.start(target=self.roles.dsn(role))
        self.migration.wait_in_step()

    def call(self, role: str, *words: str) -> Said:
        settings = {**self.migration.settings, "target": self.roles.dsn(role)}
        said = Command(self.migration.source.parent, **settings)(*words)
        assert said.code == 0, said.out + said.errors + self.migration.capture.output + self.migration.sink.output
        return said


@pytest.fixture
def stream(begin: Begin, roles: Roles) -> Iterator[Stream]:
    stream = Stream(begin(roles.superuser, bulk=500), roles)
    stream.start()
    yield stream
    assert "Traceback" not in stream.migration.capture.output + stream.migration.sink.output


def test_a_whole_migration_needs_no_more_than_the_roles_that_are_printed(stream: Stream) -> None:
    migration, choose = stream.migration, random.Random(1)
    sqlite = SqliteSide(migration.source)
    sqlite.transact(choose, 1, 1)
    migration.wait_in_step()
    assert "EQUAL" in stream.call("operator", "verify").out
    assert "write pause" in stream.call("operator", "cutover").out

    postgres = PostgresSide(stream.roles.dsn("application"))
    postgres.transact(choose, 1, 2)
    status = stream.call("status", "status", "--json").json
    assert status["switch"]["primary"] == "postgres"
    assert [status[part].get("error", "") for part in ("source", "log", "ledger", "switch")] == [""] * 4

    assert "EQUAL" in stream.call("operator", "verify").out
    assert "write pause" in stream.call("operator", "rollback").out
    sqlite.transact(choose, 1, 3)
    migration.wait_in_step()
    assert stream.call("status", "status", "--json").json["synced"]
    assert_equal(migration.source, migration.dsn, *TABLES)

    stream.call("operator", "cutover", "--unverified")
    stream.call("sink", "complete", "--yes")
    postgres.transact(choose, 1, 4)
    postgres.close()
    sqlite.close()


REFUSED = (
    ("status", "SELECT FROM public.account"),
    ("status", "SELECT image FROM switchback.changes"),
    ("status", "SELECT FROM switchback.source_schema"),
    ("status", "UPDATE switchback.side SET role = 'primary'"),
    ("operator", "UPDATE account SET balance = 0"),
    ("operator", "UPDATE switchback.ledger SET number = 0"),
    ("operator", "ALTER TABLE account DISABLE TRIGGER switchback_fence"),
    ("operator", "SET session_replication_role = replica"),
    ("application", "SELECT FROM switchback.changes"),
    ("application", "ALTER TABLE account DISABLE TRIGGER switchback_fence"),
    ("capture", "CREATE SCHEMA mine"),
    ("sink", "CREATE SCHEMA mine"),
    ("sink", "CREATE ROLE mine"),
)


ALLOWED = (
    ("status", "SELECT number, xid, seq, ms FROM switchback.changes"),
    ("operator", "SELECT FROM account"),
    ("application", "UPDATE account SET balance = balance"),
)


def test_no_role_may_do_what_it_does_not_need(stream: Stream) -> None:
    for role, statement in REFUSED:
        with (
            psycopg.connect(stream.roles.dsn(role), options="-c switchback.applying=on") as db,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            db.execute(statement.encode())
    for role, statement in ALLOWED:
        with psycopg.connect(stream.roles.dsn(role), options="-c switchback.applying=on") as db:
            db.execute(statement.encode())


def test_what_the_sink_makes_is_the_owners(stream: Stream) -> None:
    with psycopg.connect(stream.roles.superuser) as db:
        query = "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname IN ('public', 'switchback')"
        assert db.execute(query).fetchall() == [(stream.roles.name("owner"),)]


def test_tables_that_were_there_are_adopted_by_way_of_their_owner(begin: Begin, roles: Roles, tmp_path: Path) -> None:
    owner = sql.Identifier(roles.name("application"))
    with psycopg.connect(roles.superuser, autocommit=True) as db:
        db.execute(sql.SQL("GRANT CREATE ON SCHEMA public TO {}").format(owner))
        db.execute(sql.SQL("SET ROLE {}").format(owner))
        db.execute("CREATE TABLE account (id bigint PRIMARY KEY, owner text NOT NULL, balance bigint NOT NULL)")
        db.execute("RESET ROLE")
        db.execute(print_grants(tmp_path, roles, "--tables-owner", roles.name("application")).encode())
    stream = Stream(begin(roles.superuser, bulk=10, tables="account"), roles)
    stream.start()
    assert "write pause" in stream.call("operator", "cutover", "--unverified").out
    with psycopg.connect(roles.dsn("application")) as db:
        db.execute("UPDATE account SET balance = 7 WHERE id = 1")
    assert "write pause" in stream.call("operator", "rollback", "--unverified").out
    stream.migration.wait_in_step()
    assert_equal(stream.migration.source, roles.superuser, "account")
