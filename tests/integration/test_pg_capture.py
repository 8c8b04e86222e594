"""What is captured from PostgreSQL comes to what is in its tables, in whole transactions, however they overlap."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest
from psycopg import errors

from captured import Captured
from comparing import past_the_fence
from inprocess import STREAM
from operations.cutover.lag import _written
from shared.groups import Position
from shared.postgres.fence import read_refused

SCRIPT = """
CREATE TABLE parent (id INTEGER PRIMARY KEY, name TEXT UNIQUE, n INTEGER);
CREATE TABLE child (
    id INTEGER PRIMARY KEY, parent INTEGER REFERENCES parent ON DELETE CASCADE ON UPDATE CASCADE, n INTEGER);
CREATE TABLE pair (a TEXT, b INTEGER, v TEXT, PRIMARY KEY (a, b));
INSERT INTO parent VALUES (1, 'one', 0), (2, 'two', 0), (3, 'three', 0);
INSERT INTO child VALUES (1, 1, 0), (2, 1, 0), (3, 2, 0);
INSERT INTO pair VALUES ('x', 1, 'v');
"""


@pytest.fixture
def captured(tmp_path: Path, postgres_dsn: str) -> Iterator[Captured]:
    captured = Captured(tmp_path, postgres_dsn, SCRIPT)
    yield captured
    captured.close()


@pytest.mark.parametrize(
    "statements",
    [
        ["INSERT INTO parent (name, n) VALUES ('four', 4), ('five', 5)"],
        ["UPDATE parent SET n = n + 1"],
        ["DELETE FROM parent WHERE id = 1"],
        ["UPDATE parent SET id = 10 WHERE id = 2"],
        ["UPDATE pair SET b = b + 1, v = 'moved'"],
        ["INSERT INTO pair VALUES ('x', 1, 'new') ON CONFLICT (a, b) DO UPDATE SET v = excluded.v"],
        ["WITH gone AS (DELETE FROM child RETURNING *) INSERT INTO pair SELECT 'c', id, 'gone' FROM gone"],
        ["TRUNCATE child", "INSERT INTO child VALUES (9, 2, 9)"],
        ["TRUNCATE parent CASCADE"],
        ["SAVEPOINT s", "DELETE FROM child", "ROLLBACK TO s", "UPDATE child SET n = 7 WHERE id = 3"],
        ["DELETE FROM child WHERE id = 3", "INSERT INTO child VALUES (3, 3, 3)"],
        ["SET session_replication_role = replica", "UPDATE child SET n = 5"],
    ],
)
def test_every_way_of_writing_is_captured(captured: Captured, statements: list[str]) -> None:
    captured.run(*statements)
    assert captured.read()
    captured.assert_same()
    assert not captured.read()


@pytest.mark.parametrize("name", ["aaa", "zzz"], ids=["before ours", "behind ours"])
def test_triggers_of_the_application_that_write_again_leave_the_last_state(captured: Captured, name: str) -> None:
    captured.run(
        "CREATE FUNCTION again() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " IF pg_trigger_depth() = 1 THEN UPDATE parent SET n = n + 100 WHERE id <> NEW.id;"
        " UPDATE parent SET n = n + 1000 WHERE id = NEW.id; DELETE FROM child WHERE parent = NEW.id; END IF;"
        " RETURN NULL; END $$",
        f"CREATE TRIGGER {name} AFTER UPDATE ON parent FOR EACH ROW EXECUTE FUNCTION again()",
    )
    captured.run("UPDATE parent SET n = 1 WHERE id IN (1, 2)")
    captured.read()
    captured.assert_same()


def test_a_transaction_under_way_holds_nothing_back_but_its_own_changes(captured: Captured) -> None:
    with captured.connect() as slow:
        slow.execute("UPDATE parent SET n = 1 WHERE id = 1")
        captured.run("UPDATE parent SET n = 2 WHERE id = 2")
        assert [change.values[0] for change in captured.read()] == [2]
        captured.restart()  # it is known still which one is to come
        captured.run("UPDATE parent SET n = 3 WHERE id = 3")
        assert [change.values[0] for change in captured.read()] == [3]
        captured.restart_from_log()
    assert [change.values[0] for change in captured.read()] == [1]
    assert captured.read() == []
    captured.assert_same()


def test_the_lag_is_known_before_anything_was_written(captured: Captured) -> None:
    captured.restart()  # saves where it is: nowhere yet
    with captured.connect() as db:
        assert _written(db, STREAM) == 0
    captured.run("UPDATE parent SET n = 5")
    with captured.connect() as db:
        assert _written(db, STREAM) == 3


def test_the_same_row_written_in_another_order_than_the_transactions_began_ends_right(captured: Captured) -> None:
    with captured.connect() as first, captured.connect() as second:
        first.execute("UPDATE pair SET v = 'first has a transaction id'")
        first.commit()
        first.execute("UPDATE child SET n = 1 WHERE id = 1")  # the older transaction
        second.execute("UPDATE parent SET n = 2 WHERE id = 3")
        second.commit()
        captured.read()
        first.execute("UPDATE parent SET n = 3 WHERE id = 3")
    while captured.read():
        pass
    captured.assert_same()
    assert captured.rows["parent"][3,] == (3, "three", 3)


def test_a_hold_reads_everything_and_what_began_before_it_and_writes_after_it_is_not_lost(captured: Captured) -> None:
    with captured.connect() as elsewhere:
        elsewhere.execute("CREATE TABLE elsewhere (a int)")
        captured.run("UPDATE parent SET n = 5 WHERE id = 1")
        assert captured.hold.hold(20.0) == ""
        assert [change.values for change in captured.read()] == [(1, "one", 5)]
        captured.hold.let_go()
        elsewhere.execute("UPDATE parent SET n = 6 WHERE id = 2")
        captured.run("UPDATE parent SET n = 7 WHERE id = 3")
        assert [change.values[0] for change in captured.read()] == [3]
    captured.restart()
    assert [change.values[0] for change in captured.read()] == [2]
    assert captured.read() == []
    captured.assert_same()


def test_a_hold_that_is_not_to_be_had_names_who_writes_and_lets_everybody_go_on(captured: Captured) -> None:
    with captured.connect(application_name="nightly-report") as busy:
        busy.execute("UPDATE parent SET n = 1 WHERE id = 1")
        said = captured.hold.hold(0.5)
        assert "nightly-report" in said
        captured.run("UPDATE parent SET n = 2 WHERE id = 2")
    captured.read()
    captured.assert_same()


def test_writers_wait_for_a_hold_and_are_not_refused(captured: Captured) -> None:
    assert captured.hold.hold(20.0) == ""
    done = threading.Event()

    def write() -> None:
        captured.run("UPDATE parent SET n = 8 WHERE id = 1")
        done.set()

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    assert not done.wait(0.3)
    captured.hold.let_go()
    assert done.wait(30)
    writer.join()
    captured.read()
    captured.assert_same()


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO parent VALUES (9, 'nine', 9)",
        "UPDATE parent SET n = 1",
        "UPDATE parent SET n = 1 WHERE false",
        "DELETE FROM parent",
        "TRUNCATE child",
        "COPY pair FROM PROGRAM 'true'",
        "INSERT INTO pair VALUES ('x', 1, 'y') ON CONFLICT DO NOTHING",
    ],
)
def test_the_fence_refuses_every_way_of_writing_and_counts_it(captured: Captured, statement: str) -> None:
    assert captured.hold.hold(20.0) == ""
    captured.hold.fence("second", 2, Position(1, 1, 1), captured.progress, 5.0)
    with captured.connect(autocommit=True, application_name="stray") as db:
        db.execute("SET session_replication_role = replica")
        with pytest.raises(psycopg.DatabaseError) as refused:
            db.execute(statement.encode())
        assert refused.value.sqlstate == "SB001"
        found = read_refused(db)
        assert (found.count, found.application) == (1, "stray")
    with past_the_fence(captured.dsn) as sink:
        sink.execute("UPDATE parent SET n = 4 WHERE id = 1")
    assert captured.hold.standing().role == "replica"
    assert not captured.hold.unfence("another")
    assert captured.hold.unfence("second")
    captured.run("UPDATE parent SET n = 5 WHERE id = 1")
    captured.restart()
    captured.read()
    captured.assert_same()


def test_a_large_transaction_comes_in_pages(captured: Captured) -> None:
    captured.run("INSERT INTO pair SELECT 'big', i, repeat('x', 100) FROM generate_series(1, 30000) AS i")
    high = captured.source.high()
    sizes = [len(page) for page in captured.source.changes(captured.progress.seq, high)]
    assert sum(sizes) == 30_000
    assert max(sizes) <= 5_000
    captured.read()
    captured.assert_same()


def test_what_was_applied_is_pruned_and_no_more(captured: Captured) -> None:
    captured.run("UPDATE parent SET n = 1")
    captured.read()
    applied = captured.progress.seq
    captured.run("UPDATE parent SET n = 2")
    captured.read()
    assert captured.source.prune(applied, 100) == 0  # the checkpoint is older
    captured.source.save(captured.progress)
    assert captured.source.prune(applied, 100) == 3
    assert captured.source.depth()[0] == 3
    captured.restart()
    assert captured.read() == []


def test_a_role_without_rights_on_our_schema_can_write_and_is_captured(captured: Captured) -> None:
    captured.run("DROP ROLE IF EXISTS plain_writer", "CREATE ROLE plain_writer")
    try:
        captured.run("GRANT ALL ON parent TO plain_writer", "GRANT USAGE ON SCHEMA public TO plain_writer")
        captured.run("SET ROLE plain_writer", "SET search_path = pg_catalog", "UPDATE public.parent SET n = 3")
        captured.read()
        captured.assert_same()
    finally:
        captured.run("DROP OWNED BY plain_writer", "DROP ROLE plain_writer")


def test_the_settings_of_the_writing_session_do_not_change_what_is_captured(tmp_path: Path, postgres_dsn: str) -> None:
    script = (
        "CREATE TABLE t (id INTEGER PRIMARY KEY, at DATETIME, r REAL, b BLOB, f BOOLEAN);"
        "INSERT INTO t VALUES (1, '2024-01-02 03:04:05', 0.1, x'00ff', 1)"
    )
    captured = Captured(tmp_path, postgres_dsn, script)
    captured.run(
        "SET DateStyle = 'German'",
        "SET extra_float_digits = -3",
        "SET bytea_output = 'escape'",
        "SET TimeZone = 'Asia/Kolkata'",
        "UPDATE t SET id = 2",
    )
    captured.read()
    assert captured.rows["t"] == {(2,): (2, "2024-01-02 03:04:05", 0.1, b"\x00\xff", 1)}
    captured.close()


def test_new_rows_of_a_table_without_a_key_get_numbers_of_their_own(tmp_path: Path, postgres_dsn: str) -> None:
    captured = Captured(tmp_path, postgres_dsn, "CREATE TABLE loose (a TEXT); CREATE TABLE k (id INTEGER PRIMARY KEY)")
    captured.run("INSERT INTO loose (a) VALUES ('x'), ('x')")
    captured.run("INSERT INTO k DEFAULT VALUES")
    assert [tuple(change.values) for change in captured.read() if change.table == "loose"] == [(1, "x"), (2, "x")]
    captured.close()


def test_random_writers_side_by_side_come_to_what_is_there(captured: Captured) -> None:
    def write(seed: int) -> None:
        with captured.connect(autocommit=True) as db:
            for step in range(60):
                key = (seed * 7 + step * 3) % 12 + 20
                try:
                    with db.transaction():
                        db.execute(
                            "INSERT INTO parent VALUES (%s, %s, 0) ON CONFLICT (id) DO UPDATE SET n = parent.n + 1",
                            (key, f"p{key}"),
                        )
                        if step % 5 == 0:
                            db.execute("DELETE FROM parent WHERE id = %s", ((key + 3) % 12 + 20,))
                        if step % 7 == 0:
                            db.execute("UPDATE parent SET n = n + 1 WHERE id BETWEEN 20 AND 31")
                except (errors.DeadlockDetected, errors.UniqueViolation):
                    pass

    writers = [threading.Thread(target=write, args=(seed,), daemon=True) for seed in range(4)]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        captured.read()
        time.sleep(0.005)
    for writer in writers:
        writer.join()
    while captured.read():
        pass
    captured.assert_same()


def test_the_oldest_change_that_is_not_applied_is_dated(captured: Captured) -> None:
    source = captured.source
    assert source.oldest_ms(captured.progress.seq) is None
    captured.run("UPDATE parent SET n = 1")
    captured.read()
    applied = captured.progress.seq
    captured.run("UPDATE child SET n = 1 WHERE id = 1")
    with captured.connect() as db:
        first = db.execute("SELECT min(ms) FROM switchback.changes").fetchone()
        last = db.execute("SELECT max(ms) FROM switchback.changes").fetchone()
    assert source.oldest_ms(0) == (first or [None])[0]
    assert source.oldest_ms(applied) == (last or [None])[0]


def test_a_transaction_that_began_early_and_wrote_late_does_not_overtake_what_it_waited_for(captured: Captured) -> None:
    """Its number is the lowest, one that is still under way has the next, and what it follows upon the one behind."""
    with captured.connect() as early, captured.connect() as elsewhere:
        early.execute("UPDATE child SET n = 1 WHERE id = 1")
        elsewhere.execute("SELECT pg_current_xact_id()")
        captured.run("UPDATE parent SET n = 1 WHERE id = 1", "DELETE FROM pair")
        early.execute("UPDATE parent SET n = 2 WHERE id = 1")
        early.execute("INSERT INTO pair VALUES ('x', 1, 'back again')")
        early.commit()
        captured.read()
        captured.assert_same()
    while captured.read():
        pass
    captured.assert_same()


def test_no_group_shows_a_part_of_what_others_have_waited_for(captured: Captured) -> None:
    """Transfers that begin early and write late, while transactions elsewhere come and go: the sum stays the same."""
    done = threading.Event()

    def transfer(seed: int) -> None:
        choose = random.Random(seed)
        with captured.connect(autocommit=True) as db:
            for _ in range(60):
                one, other = choose.sample((1, 2, 3), 2)
                with suppress(errors.DeadlockDetected), db.transaction():
                    db.execute("UPDATE child SET n = n + 1 WHERE id = %s", (seed + 1,))
                    time.sleep(choose.random() / 100)
                    db.execute("UPDATE parent SET n = n - 1 WHERE id = %s", (one,))
                    db.execute("UPDATE parent SET n = n + 1 WHERE id = %s", (other,))

    def linger(seed: int) -> None:
        choose = random.Random(seed)
        with captured.connect(autocommit=True) as db:
            while not done.is_set():
                with db.transaction():
                    db.execute("SELECT pg_current_xact_id()")
                    time.sleep(choose.random() / 50)

    threads = [threading.Thread(target=transfer, args=(seed,), daemon=True) for seed in range(3)]
    lingering = [threading.Thread(target=linger, args=(seed,), daemon=True) for seed in (7, 8)]
    for thread in (*threads, *lingering):
        thread.start()
    while any(thread.is_alive() for thread in threads):
        captured.read()
        assert sum(row[2] for row in captured.rows["parent"].values()) == 0
    done.set()
    for thread in lingering:
        thread.join()
    captured.read()
    captured.assert_same()
