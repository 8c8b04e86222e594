"""The hold of PostgreSQL's writers: what is read under it, who is in its way, and what is left when it goes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from autovacuum import slow_autovacuum
from captured import Captured
from daemons import wait_until
from fix_postgres import new_database
from shared.embedded_postgres import EmbeddedPostgres
from shared.errors import LeaseLost, Retry

SCRIPT = """
CREATE TABLE one (id INTEGER PRIMARY KEY, n INTEGER);
CREATE TABLE two (id INTEGER PRIMARY KEY, n INTEGER);
INSERT INTO one VALUES (1, 0), (2, 0), (3, 0);
INSERT INTO two VALUES (1, 0), (2, 0), (3, 0);
"""


@pytest.fixture
def captured(tmp_path: Path, postgres_dsn: str) -> Iterator[Captured]:
    captured = Captured(tmp_path, postgres_dsn, SCRIPT)
    yield captured
    captured.close()


def test_a_hold_that_was_lost_unnoticed_is_no_hold(captured: Captured) -> None:
    """Else what is committed first would be taken for all there is, and what was written before it be passed over."""
    assert captured.hold.hold(20.0) == ""
    _end_hold(captured)
    with captured.connect() as slow:
        slow.execute("UPDATE one SET n = 1 WHERE id = 1")
        captured.run("UPDATE one SET n = 2 WHERE id = 2")
        with pytest.raises(Retry):
            captured.read()
    captured.hold.let_go()
    assert {change.values for change in captured.read()} == {(1, 1), (2, 2)}
    captured.assert_same()


def test_what_is_written_between_counting_and_reading_by_a_transaction_older_than_the_hold_comes_later(
    captured: Captured,
) -> None:
    with captured.connect() as older:
        older.execute("SELECT pg_current_xact_id()")
        captured.run("UPDATE one SET n = 1 WHERE id = 1")
        assert captured.hold.hold(20.0) == ""
        high = captured.source.high()
        meta = captured.source.mark(high)
        _end_hold(captured)
        older.execute("UPDATE one SET n = 2 WHERE id = 2")
        older.commit()
        found = [change for page in captured.source.changes(captured.progress.seq, high) for change in page]
    assert [change.seq for change in found] == [high]
    captured.take(found, high, meta)
    captured.hold.let_go()
    assert [change.values for change in captured.read()] == [(2, 2)]
    captured.assert_same()


def test_many_holds_in_a_row_each_with_older_transactions_lose_and_double_nothing(captured: Captured) -> None:
    seen = []
    with captured.connect() as first, captured.connect() as second, captured.connect() as oldest:
        oldest.execute("SELECT pg_current_xact_id()")
        for turn, older in enumerate((first, second, first, second)):
            older.execute("SELECT pg_current_xact_id()")
            captured.run(f"UPDATE one SET n = {turn + 10} WHERE id = 1")
            assert captured.hold.hold(20.0) == ""
            seen += captured.read()
            assert captured.read() == []
            captured.hold.let_go()
            older.execute(f"UPDATE two SET n = {turn + 10} WHERE id = {turn % 3 + 1}")
            if turn == 1:
                older.rollback()
            older.commit()
            captured.restart()
            seen += captured.read()
    seen += captured.read()
    assert captured.read() == []
    with captured.connect() as db:
        count = db.execute("SELECT count(*) FROM switchback.changes").fetchone()
    assert count == (len(seen),)
    captured.assert_same()


def test_a_hold_of_a_capture_that_was_deposed_leaves_nothing_locked(captured: Captured) -> None:
    captured.source.take_lease()
    with pytest.raises(LeaseLost):
        captured.hold.hold(20.0)
    captured.source.take_lease()
    with captured.connect() as db:
        db.execute("SET lock_timeout = '10s'")  # the server hears a little later that the session is gone
        db.execute("UPDATE switchback.side SET epoch = epoch")


def test_a_prepared_transaction_in_the_way_is_named(captured: Captured) -> None:
    with captured.connect(autocommit=True) as db:
        row = db.execute("SHOW max_prepared_transactions").fetchone()
        if row == ("0",):
            pytest.skip("the server allows no prepared transactions")
        db.execute("BEGIN")
        db.execute("UPDATE one SET n = 1 WHERE id = 1")
        db.execute("PREPARE TRANSACTION 'left behind'")
        try:
            assert "left behind" in captured.hold.hold(0.4)
        finally:
            db.execute("COMMIT PREPARED 'left behind'")
    assert len(captured.read()) == 1
    captured.assert_same()


def test_while_a_table_is_vacuumed_or_analysed_no_writer_is_made_to_wait(captured: Captured) -> None:
    """Autovacuum ends by itself; a hold that tried meanwhile would stop the writers again and again."""
    with captured.connect() as other, captured.connect(autocommit=True) as writer:
        other.execute("LOCK TABLE two IN SHARE UPDATE EXCLUSIVE MODE")  # as VACUUM and ANALYZE do
        writer.execute("SET lock_timeout = '10ms'")
        holding = threading.Thread(target=captured.hold.hold, args=(0.5,), daemon=True)
        holding.start()
        while holding.is_alive():  # to its very end, when its time is over
            writer.execute("UPDATE two SET n = n + 1 WHERE id = 1")
            writer.execute("UPDATE one SET n = n + 1 WHERE id = 1")
        holding.join()
    captured.read()
    captured.assert_same()


def test_between_the_tries_of_a_hold_writers_of_two_tables_get_through(captured: Captured) -> None:
    """A writer that has one table and waits for another may not keep the hold, nor be its victim, for ever."""
    with captured.connect() as writer, captured.connect() as other:
        writer.execute("UPDATE two SET n = 1 WHERE id = 1")
        assert "writes for" in captured.hold.hold(0.3)
        other.execute("SET lock_timeout = '50ms'")
        other.execute("UPDATE one SET n = 1 WHERE id = 1")
    captured.read()
    captured.assert_same()


def test_what_a_rolled_back_savepoint_wrote_is_in_no_group_under_a_hold_either(captured: Captured) -> None:
    with captured.connect() as db:
        db.execute("SAVEPOINT s")
        db.execute("UPDATE one SET n = 1 WHERE id = 1")
        db.execute("ROLLBACK TO s")
        db.execute("SELECT pg_current_xact_id()")
        captured.run("UPDATE one SET n = 2 WHERE id = 1")
        assert captured.hold.hold(20.0) == ""
        assert [change.values for change in captured.read()] == [(1, 2)]
        captured.hold.let_go()
        db.execute("UPDATE one SET n = 3 WHERE id = 3")
    assert [change.values for change in captured.read()] == [(3, 3)]
    captured.assert_same()


def _end_hold(captured: Captured) -> None:
    """As a network or an operator ends a session; writers go on before this program hears of it."""
    ask = "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'switchback-hold%%' AND datname = %s"
    with captured.connect(autocommit=True) as db:
        while rows := db.execute(ask, (db.info.dbname,)).fetchall():
            for (pid,) in rows:
                db.execute("SELECT pg_terminate_backend(%s)", (pid,))


def test_no_session_of_a_hold_is_left(captured: Captured) -> None:
    for _ in range(3):
        assert captured.hold.hold(20.0) == ""
        captured.hold.let_go()
    with psycopg.connect(captured.dsn) as db:
        ask = (
            "SELECT count(*) FROM pg_locks AS l JOIN pg_database AS d ON d.oid = l.database"
            " WHERE d.datname = current_database() AND l.mode = 'ShareRowExclusiveLock'"
        )
        wait_until("the server knows that the session is gone", lambda: db.execute(ask).fetchone() == (0,))


def test_autovacuum_gives_way_to_a_hold(tmp_path: Path, own_postgres: EmbeddedPostgres) -> None:
    """On a large table it may take hours, and for so long nobody could go back."""
    many = (
        "INSERT INTO two WITH RECURSIVE c(n) AS (SELECT 4 UNION ALL SELECT n + 1 FROM c LIMIT 9000) SELECT n, n FROM c"
    )
    with (
        new_database(own_postgres.dsn) as dsn,
        closing(Captured(tmp_path, dsn, f"{SCRIPT}{many};")) as captured,
        slow_autovacuum(dsn, "two"),
    ):
        assert captured.hold.hold(10.0) == ""
