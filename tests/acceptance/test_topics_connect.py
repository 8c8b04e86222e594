"""The proof by somebody else's consumer: Debezium's JDBC sink makes a database of our topics that is equal to ours."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from daemons import Daemon, Migration, wait_until
from fix_connect import Connect, Worker, connector
from fix_postgres import new_database
from shared.log.opening import open_log
from table_topics import KEYS, wait_published
from traffic import Traffic, make_database

SCRIPT = """
CREATE TABLE kinds (
    id INTEGER PRIMARY KEY, flag BOOLEAN, price DECIMAL(10, 2), at DATETIME, day DATE, zoned TIMESTAMP, token UUID,
    doc JSON, body BLOB, ratio REAL, big INTEGER, odd, name TEXT
);
INSERT INTO kinds VALUES
    (1, 1, 12.34, '2026-01-02 03:04:05', '2026-01-02', '2026-01-02T03:04:05.123456+00:00',
     '0f1c2d1e-0a57-4a93-9a4a-5d2f0a8f7c11', '{"a": [1, 2]}', x'00ff', 0.1, 9223372036854775807, 'text', 'é"\\'),
    (2, 0, 7, '1969-12-31 23:59:59', '0001-01-01', '2026-07-02T03:04:05+00:00',
     'ffffffff-ffff-ffff-ffff-ffffffffffff', '"x"', x'', 1e300, -9223372036854775808, 3.5, ''),
    (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, x'01', NULL);
CREATE TABLE "Odd name" ("a b" TEXT, "select" INTEGER, "Wert" TEXT, PRIMARY KEY ("a b", "select"));
INSERT INTO "Odd name" VALUES ('x', 1, 'one'), ('y', 2, 'two'), ('z', 3, 'three');
"""
LATER = """
UPDATE kinds SET price = 0.5, doc = '[]', odd = 5 WHERE id = 1;
UPDATE kinds SET id = 20 WHERE id = 2;
DELETE FROM "Odd name" WHERE "select" = 2;
UPDATE "Odd name" SET "select" = 30, "Wert" = 'thirty' WHERE "a b" = 'z';
INSERT INTO "Odd name" VALUES ('new', 4, NULL);
"""
TABLES = [*KEYS, "kinds", "Odd name"]


@pytest.fixture
def copy_dsn(postgres_server: object, postgres_dsn: str) -> Iterator[str]:
    with new_database(postgres_dsn) as dsn:
        yield dsn


@pytest.fixture
def migration(tmp_path: Path, postgres_dsn: str, kafka_bootstrap: str) -> Iterator[Migration]:
    source = make_database(tmp_path / "app.db", bulk=2_000)
    with closing(sqlite3.connect(source)) as db:
        db.executescript(SCRIPT)
    made = Migration(source, postgres_dsn, f"kafka://{kafka_bootstrap}", stream=f"connect-{tmp_path.name}")
    yield made
    made.kill()


def _difference(ours: str, theirs: str) -> str:
    """The first table that differs, with its first rows; values are compared as PostgreSQL writes them."""
    for table in TABLES:
        with psycopg.connect(ours) as db:
            names = [row[0] for row in db.execute(_COLUMNS, (table,))]
        query = sql.SQL("SELECT {} FROM {}").format(
            sql.SQL(", ").join(sql.SQL("{}::text").format(sql.Identifier(name)) for name in names),
            sql.Identifier(table),
        )
        try:
            with psycopg.connect(ours) as one, psycopg.connect(theirs) as other:
                here, there = set(one.execute(query)), set(other.execute(query))
        except psycopg.errors.UndefinedTable:
            return f"{table} is not there"
        if here != there:
            mine, other_s = sorted(here - there, key=repr), sorted(there - here, key=repr)
            return f"{table}: only here {mine[:3]}, only there {other_s[:3]}"
    return ""


_COLUMNS = """
SELECT column_name FROM information_schema.columns
WHERE table_name = %s AND table_schema = current_schema() ORDER BY ordinal_position
"""


@pytest.mark.timeout(400)
@pytest.mark.parametrize("tombstones", ["false"])
def test_debezium_s_jdbc_sink_makes_an_equal_database(
    migration: Migration, connect: Connect, copy_dsn: str, tmp_path: Path, tombstones: str
) -> None:
    prefix = f"{migration.stream}-t"
    settings = {"topics_format": "schema", "topics_tombstones": tombstones, "topics_prefix": prefix}
    topics = Daemon("topics", {**migration.settings, **settings}, tmp_path)
    migration.start()
    topics.start()
    worker: Worker | None = None
    try:
        with Traffic(migration.source, rate=40):
            migration.wait_in_step()
            _wait(migration, topics, prefix)
            worker = connect(connector(copy_dsn, prefix))
            with closing(sqlite3.connect(migration.source, timeout=30)) as db:
                db.executescript(f"BEGIN; {LATER} COMMIT;")
        migration.wait_in_step()
        _wait(migration, topics, prefix)
        _wait_until_equal(migration.dsn, copy_dsn, worker)
    finally:
        topics.kill()


def _wait(migration: Migration, topics: Daemon, prefix: str) -> None:
    ledger = migration.ledger()
    assert ledger
    with closing(open_log(migration.settings["log"], migration.stream)) as log:
        wait_published(log, prefix, ledger.position.number, topics)


def _wait_until_equal(ours: str, theirs: str, worker: Worker) -> None:
    found = [""]

    def equal() -> bool:
        failure = worker.failure()
        assert not failure, failure[:3000]
        found[0] = _difference(ours, theirs)
        return not found[0]

    try:
        wait_until("both databases are equal", equal, 60)
    except AssertionError as error:
        message = f"{error}: {found[0]}\n{worker.output[-2000:]}"
        raise AssertionError(message) from None
