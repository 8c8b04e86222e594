"""Roles in a real PostgreSQL, made by the very statements that ``switchback grants postgres`` prints."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from command import Command
from fix_postgres import PostgresServer, new_database

PROGRAMS = ("capture", "sink", "operator", "status")
GRANTS_PARAMETERS = 150000
"""The server's version from which on a setting can be granted; before, only superusers may set some."""


@dataclass(frozen=True)
class Roles:
    """A database with roles; ``superuser`` is the administrator's DSN, ``dsn("sink")`` that of a role."""

    superuser: str
    prefix: str
    password: str

    def name(self, role: str) -> str:
        return f"{self.prefix}_{role}"

    def dsn(self, role: str) -> str:
        return make_conninfo(self.superuser, user=self.name(role), password=self.password)


@pytest.fixture
def roles(postgres_server: PostgresServer, tmp_path: Path) -> Iterator[Roles]:
    """All roles of a stream, and an application's; nobody may do anything by default."""
    with new_roles(postgres_server.dsn, tmp_path) as made:
        yield made


@contextmanager
def new_roles(superuser: str, tmp_path: Path) -> Iterator[Roles]:
    """The same in a new database of that server; roles and database go at the end."""
    prefix = f"sb{uuid.uuid4().hex[:8]}"
    with new_database(superuser) as dsn:
        made = Roles(dsn, prefix, secrets.token_hex(8))
        with psycopg.connect(dsn, autocommit=True) as db:
            db.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(sql.Identifier(db.info.dbname)))
            db.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC")
            _let_in_application(db, made)
            script = print_grants(tmp_path, made)
            db.execute(script.encode())
            db.execute(script.encode())  # it can be run again
            for role in PROGRAMS:
                _set_password(db, made, role)
        yield made
    with psycopg.connect(superuser, autocommit=True) as db:
        if db.info.server_version >= GRANTS_PARAMETERS:
            db.execute(f"REVOKE SET ON PARAMETER session_replication_role FROM {made.name('owner')}".encode())
        for role in (*PROGRAMS, "owner", "application"):
            db.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(made.name(role))))


def print_grants(folder: Path, roles: Roles, *more: str) -> str:
    named = ("--prefix", roles.prefix, "--application", roles.name("application"))
    said = Command(folder, target=roles.superuser, stream="app")("grants", "postgres", *named, *more)
    assert said.code == 0, said.errors
    return said.out


def _let_in_application(db: psycopg.Connection, roles: Roles) -> None:
    name = sql.Identifier(roles.name("application"))
    db.execute(sql.SQL("CREATE ROLE {} LOGIN").format(name))
    db.execute(sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(sql.Identifier(db.info.dbname), name))
    _set_password(db, roles, "application")


def _set_password(db: psycopg.Connection, roles: Roles, role: str) -> None:
    change = sql.SQL("ALTER ROLE {} PASSWORD {}")
    db.execute(change.format(sql.Identifier(roles.name(role)), sql.Literal(roles.password)))
