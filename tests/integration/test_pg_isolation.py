"""Transactions above READ COMMITTED on PostgreSQL see rows that others have deleted since, and log none of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import IsolationLevel, errors

from captured import Captured

SCRIPT = """
CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT);
CREATE TABLE pair (a TEXT, b INTEGER, v TEXT, PRIMARY KEY (a, b));
CREATE TABLE numbered (v TEXT, moved INTEGER, fresh INTEGER);
"""
SEED = [
    "DELETE FROM t",
    "DELETE FROM pair",
    "DELETE FROM numbered",
    "INSERT INTO t VALUES (1, 'old'), (2, 'two'), (3, 'three'), (4, 'four')",
    "INSERT INTO pair VALUES ('x', 1, 'old'), ('y', 2, 'two')",
    """INSERT INTO numbered ("_switchback_rowid", v, moved, fresh) VALUES (1, 'old', 0, 0), (2, 'two', 0, 0)""",
]
LEVELS = [IsolationLevel.READ_COMMITTED, IsolationLevel.REPEATABLE_READ, IsolationLevel.SERIALIZABLE]
DELETED = ("DELETE FROM t WHERE id = 1", "DELETE FROM pair WHERE b = 1", "DELETE FROM numbered WHERE v = 'old'")
AGAIN = "INSERT INTO t VALUES (1, 'new')"
WRITES = [
    [AGAIN, "DELETE FROM t WHERE v = 'new'"],
    [AGAIN, "UPDATE t SET v = 'newer' WHERE v = 'new'"],
    [AGAIN, "UPDATE t SET id = 9 WHERE v = 'new'"],
    ["UPDATE t SET id = 1 WHERE id = 2"],
    ["UPDATE t SET id = 1 WHERE id = 2", "UPDATE t SET id = 2 WHERE v = 'two'"],
    ["UPDATE t SET id = 1 WHERE id = 2", "UPDATE t SET id = 2 WHERE id = 3", "UPDATE t SET id = 3 WHERE v = 'two'"],
    ["SAVEPOINT s", AGAIN, "RELEASE s", "DELETE FROM t WHERE v = 'new'"],
    ["SAVEPOINT s", AGAIN, "SAVEPOINT inner_one", "DELETE FROM t WHERE v = 'new'", "RELEASE inner_one", "RELEASE s"],
    [AGAIN, "SAVEPOINT s", "DELETE FROM t WHERE v = 'new'", "ROLLBACK TO s"],
    ["SAVEPOINT s", AGAIN, "ROLLBACK TO s", "INSERT INTO t VALUES (7, 'seven')"],
    ["SAVEPOINT s", AGAIN, "ROLLBACK TO s", "INSERT INTO t VALUES (1, 'second')", "DELETE FROM t WHERE v = 'second'"],
    ["INSERT INTO t VALUES (4, 'again') ON CONFLICT (id) DO UPDATE SET v = excluded.v || t.v"],
    [f"{AGAIN} ON CONFLICT (id) DO NOTHING", "DELETE FROM t WHERE v = 'new'"],
    ["INSERT INTO pair VALUES ('x', 1, 'new')", "DELETE FROM pair WHERE v = 'new'"],
    ["UPDATE pair SET a = 'x', b = 1 WHERE b = 2", "UPDATE pair SET b = 3 WHERE v = 'two'"],
    ["INSERT INTO numbered (\"_switchback_rowid\", v) VALUES (1, 'new')", "DELETE FROM numbered WHERE v = 'new'"],
    ["UPDATE numbered SET moved = 1, fresh = 1 WHERE v = 'two'"],
    [AGAIN, "SELECT * FROM t WHERE v = 'new' FOR UPDATE", "DELETE FROM t WHERE v = 'new'"],
]
TOUCHES = """
CREATE FUNCTION touches() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF pg_trigger_depth() = 1 THEN UPDATE t SET v = v || ' touched' WHERE id = new.id AND v LIKE new.v || '%'; END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER a_touches AFTER INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION touches();
CREATE TRIGGER z_touches AFTER INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION touches();
"""
"""One runs before ours, one after it."""


@pytest.fixture
def captured(tmp_path: Path, postgres_dsn: str) -> Iterator[Captured]:
    captured = Captured(tmp_path, postgres_dsn, SCRIPT)
    captured.run(*SEED)
    captured.read()
    yield captured
    captured.close()


def _behind(captured: Captured, level: IsolationLevel, *statements: str, first: tuple[str, ...] = DELETED) -> None:
    """Statements in a transaction whose snapshot is older than what ``first`` did."""
    with captured.connect() as db:
        db.isolation_level = level
        db.execute("SELECT count(*) FROM t")
        captured.run(*first)
        for statement in statements:
            db.execute(statement.encode())


def _assert_captured(captured: Captured) -> None:
    while captured.read():
        pass
    captured.assert_same()


@pytest.mark.parametrize("level", LEVELS, ids=lambda level: level.name.lower())
def test_what_a_transaction_with_an_older_snapshot_writes_is_captured(
    captured: Captured, level: IsolationLevel
) -> None:
    for statements in WRITES:
        captured.run(*SEED)
        _assert_captured(captured)
        _behind(captured, level, *statements)
        _assert_captured(captured)


@pytest.mark.parametrize("level", LEVELS, ids=lambda level: level.name.lower())
@pytest.mark.parametrize("statement", ["INSERT INTO t VALUES (9, 'NEW')", "UPDATE t SET id = 9 WHERE id = 2"])
def test_a_row_over_one_that_another_transaction_has_deleted_since_is_logged_once(
    captured: Captured, level: IsolationLevel, statement: str
) -> None:
    captured.run("INSERT INTO t SELECT n, repeat('x', 300) FROM generate_series(100, 400) n")
    captured.run("INSERT INTO t VALUES (9, 'old nine')")
    captured.run("DELETE FROM t WHERE id BETWEEN 100 AND 390")
    _assert_captured(captured)
    with psycopg.connect(captured.dsn, autocommit=True) as db:
        db.execute("VACUUM t")  # room in front of the old row, so that the new one lands before it
    _behind(captured, level, statement, first=("DELETE FROM t WHERE id = 9",))
    _assert_captured(captured)


@pytest.mark.parametrize("level", LEVELS, ids=lambda level: level.name.lower())
def test_triggers_of_the_application_that_write_the_same_row_again_are_captured(
    captured: Captured, level: IsolationLevel
) -> None:
    captured.run(TOUCHES)
    _behind(
        captured, level, AGAIN, "UPDATE t SET id = 8 WHERE id = 3", "SAVEPOINT s", "UPDATE t SET v = 'x' WHERE id = 4"
    )
    _assert_captured(captured)


@pytest.mark.parametrize("level", LEVELS, ids=lambda level: level.name.lower())
def test_a_transaction_that_had_its_number_before_its_snapshot_is_captured(
    captured: Captured, level: IsolationLevel
) -> None:
    with captured.connect() as db:
        db.isolation_level = level
        db.execute("LOCK TABLE pair IN ACCESS EXCLUSIVE MODE")  # gives a number, takes no snapshot
        captured.run("UPDATE t SET v = 'later number' WHERE id = 1")
        db.execute("SELECT count(*) FROM t")
        captured.run("DELETE FROM t WHERE id = 1")
        db.execute(AGAIN.encode())
        db.execute("DELETE FROM t WHERE v = 'new'")
    _assert_captured(captured)


def test_truncate_above_read_committed_is_refused_by_name(captured: Captured) -> None:
    with pytest.raises(errors.FeatureNotSupported, match=r"^switchback: TRUNCATE of table t .*\n(.*\n)*HINT:.*DELETE"):
        _behind(captured, IsolationLevel.REPEATABLE_READ, "TRUNCATE t", first=("INSERT INTO t VALUES (50, 'later')",))
    _behind(captured, IsolationLevel.READ_COMMITTED, "TRUNCATE t", first=("INSERT INTO t VALUES (51, 'later')",))
    _assert_captured(captured)


def test_a_version_whose_writer_would_be_in_the_future_is_nobodys_own(captured: Captured) -> None:
    with captured.connect() as db:
        row = db.execute("""
            SELECT switchback.wrote(((n::text::bigint + 1000000) & 4294967295)::text::xid), switchback.wrote('2'),
                   switchback.wrote((n::text::bigint & 4294967295)::text::xid)
              FROM pg_current_xact_id() AS n""").fetchone()
    assert row == (False, False, True)
