"""Nobody writes past our triggers on PostgreSQL unseen: capture stops where they were touched, and can go on again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from captured import Captured
from command import QuickCommand
from comparing import assert_equal
from daemons import wait_until
from fix_migration import STOPPED, CutOver
from shared.errors import SchemaChanged
from shared.groups import Position

SCRIPT = """
CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT);
CREATE TABLE u (id INTEGER PRIMARY KEY);
INSERT INTO t VALUES (1, 'old'), (2, 'two'), (3, 'three');
"""
WRITE = "UPDATE t SET v = 'lost' WHERE id = 1"
REBUILT = (
    "CREATE TABLE t2 (LIKE t INCLUDING ALL)",
    "INSERT INTO t2 SELECT * FROM t",
    "DROP TABLE t",
    "ALTER TABLE t2 RENAME TO t",
)
BEHIND = [
    ("ALTER TABLE t DISABLE TRIGGER USER", WRITE, "ALTER TABLE t ENABLE TRIGGER USER"),
    ("ALTER TABLE t DISABLE TRIGGER ALL", WRITE, "ALTER TABLE t ENABLE TRIGGER ALL"),
    (
        "ALTER TABLE t DISABLE TRIGGER switchback_capture",
        WRITE,
        "ALTER TABLE t ENABLE ALWAYS TRIGGER switchback_capture",
    ),
    ("DROP TRIGGER switchback_capture ON t", WRITE),
    (*REBUILT, WRITE),
    ("ALTER TABLE t RENAME TO was", "CREATE TABLE t (LIKE was INCLUDING ALL)", "INSERT INTO t VALUES (9, 'lost')"),
]


@pytest.fixture
def captured(tmp_path: Path, postgres_dsn: str) -> Iterator[Captured]:
    captured = Captured(tmp_path, postgres_dsn, SCRIPT)
    yield captured
    captured.close()


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE INDEX i ON t (v)",
        "CREATE UNIQUE INDEX i ON t (v)",
        "DROP INDEX was",
        "CREATE VIEW w AS SELECT v FROM t",
        "CREATE TABLE other (a int)",
        "ALTER TABLE t ADD CONSTRAINT c CHECK (id > 0)",
    ],
)
def test_what_changes_no_column_of_a_captured_table_may_come_and_go(captured: Captured, statement: str) -> None:
    captured.run("CREATE INDEX was ON t (v)")
    captured.run(statement, "UPDATE t SET v = 'new' WHERE id = 2")
    assert len(captured.read()) == 1
    assert captured.source.depth()
    captured.restart()
    captured.assert_same()


@pytest.mark.parametrize("statements", BEHIND, ids=lambda statements: statements[0])
def test_capture_stops_where_its_triggers_were_touched(captured: Captured, statements: tuple[str, ...]) -> None:
    captured.run("UPDATE t SET v = 'seen' WHERE id = 2")
    assert captured.read()
    captured.run(*statements)
    with pytest.raises(SchemaChanged, match=r"touched.*\(table t of PostgreSQL\).*docs/when-it-fails"):
        captured.source.depth()
    captured.run("INSERT INTO u VALUES (1)")
    with pytest.raises(SchemaChanged, match="touched"):
        captured.read()
    with pytest.raises(SchemaChanged, match="touched"):
        captured.restart()


def test_a_hold_is_not_complete_where_triggers_were_touched(captured: Captured) -> None:
    captured.run(*BEHIND[2])
    assert captured.hold.hold(2.0) == ""
    with pytest.raises(SchemaChanged, match="switchback_capture was switched"):
        captured.source.high()


def test_what_was_rolled_back_and_our_own_switches_are_no_change(captured: Captured) -> None:
    captured.run("SAVEPOINT s", *BEHIND[0], "ROLLBACK TO s", "UPDATE t SET v = 'kept' WHERE id = 3")
    assert captured.read()
    assert captured.hold.hold(2.0) == ""
    captured.hold.prepare_fence()
    captured.source.high()
    captured.hold.let_go()
    captured.run("UPDATE t SET v = 'after' WHERE id = 3")
    assert captured.read()
    assert captured.hold.hold(2.0) == ""
    captured.hold.fence("second", 2, Position(1, 5_000, 5_000), captured.progress, 5.0)
    assert captured.hold.unfence("second")
    captured.run("UPDATE t SET v = 'opened again' WHERE id = 3")
    assert captured.read()
    captured.assert_same()


@pytest.mark.parametrize("statements", [BEHIND[0], BEHIND[4]], ids=lambda statements: statements[0])
def test_the_way_out_makes_the_triggers_anew_and_what_was_lost_is_found_and_written_again(
    cut_over: CutOver, postgres_dsn: str, tmp_path: Path, statements: tuple[str, ...]
) -> None:
    migration = cut_over(SCRIPT)
    command = QuickCommand(tmp_path, **migration.settings)
    with psycopg.connect(postgres_dsn) as db:
        for statement in statements:
            db.execute(statement.encode())
    migration.capture.assert_ended(STOPPED, "triggers were touched", "docs/when-it-fails.md")
    said = command("rollback", "--unverified")
    assert said.code, said.out
    assert "triggers were touched" in said.out + said.errors

    with psycopg.connect(postgres_dsn) as db:
        db.execute("UPDATE switchback.side SET guards = '' WHERE stream = %s", (migration.stream,))
    migration.capture.start()
    wait_until("capture works again", lambda: command("status", "--json").json["synced"])
    assert command("verify").code == 1
    with psycopg.connect(postgres_dsn) as db:
        db.execute("UPDATE t SET v = v WHERE id = 1")
    wait_until("it has come", lambda: command("verify").code == 0)
    said = command("rollback")
    assert said.code == 0, said.out + said.errors
    migration.wait_in_step()
    assert_equal(migration.source, postgres_dsn, "t")
