"""A PostgreSQL that lost commits which capture has published stops it; one that lost nothing goes on."""

from __future__ import annotations

import random
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from capture.postgres.source import PostgresSource
from captured import Captured
from failover import Standby
from fix_postgres import new_database, running_server
from inprocess import STREAM
from shared.embedded_postgres import EmbeddedPostgres, find_system_programs, find_wheel_programs
from shared.errors import LeaseLost, Retry, SourceRestored
from shared.groups import Position
from shared.postgres.fence import open_side, renew

SCRIPT = """
CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT);
INSERT INTO t VALUES (1, 'old'), (2, 'old'), (3, 'old');
"""
OTHERS = [f"UPDATE t SET v = 'other {turn}' WHERE id = {turn % 3 + 1}" for turn in range(40)]
"""More than a server lost: their numbers, and those of transactions, go beyond what was published."""


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedPostgres]:
    """One for all of these tests: a standby that has taken over is a server like any other."""
    with running_server() as server:
        yield server


@pytest.fixture
def captured(tmp_path: Path, server: EmbeddedPostgres) -> Iterator[Captured]:
    with new_database(server.dsn) as dsn:
        captured = Captured(tmp_path, dsn, SCRIPT)
        yield captured
        captured.close()


@pytest.fixture
def standby(tmp_path: Path, captured: Captured, server: EmbeddedPostgres) -> Standby:
    """A change is published and saved before it is made."""
    captured.run("UPDATE t SET v = 'first'")
    captured.read()
    captured.restart()
    standby = Standby(server, tmp_path)
    captured.restart_from_log()
    return standby


def _stops(captured: Captured) -> None:
    for _ in range(2):  # another start does not pass it either
        with pytest.raises(SourceRestored, match=r"(were lost|went back).*(docs/when-it-fails|newer)"):
            captured.restart_from_log()


@pytest.mark.parametrize("others", [[], OTHERS[:1], OTHERS], ids=["nothing", "a little", "more than was lost"])
def test_lost_changes_are_found_whatever_was_written_since(
    captured: Captured, standby: Standby, others: list[str]
) -> None:
    captured.run("UPDATE t SET v = 'kept' WHERE id = 1")
    captured.read()
    standby.replays_up_to_here()
    captured.run("UPDATE t SET v = 'lost' WHERE id = 2")
    captured.read()
    standby.takes_over()
    for other in others:
        captured.run(other)
    _stops(captured)


def test_lost_changes_are_found_also_where_as_many_were_written_since(captured: Captured, standby: Standby) -> None:
    standby.replays_up_to_here()
    captured.run("UPDATE t SET v = 'lost'")
    captured.read()
    standby.takes_over()
    captured.run("SELECT pg_current_xact_id()")
    captured.run("UPDATE t SET v = 'in their place'")
    _stops(captured)


def test_a_lost_checkpoint_hides_no_lost_changes(captured: Captured, standby: Standby) -> None:
    captured.run("UPDATE t SET v = 'kept'")
    captured.read()
    standby.replays_up_to_here()
    captured.run("UPDATE t SET v = 'lost'")
    captured.read()
    captured.source.save(captured.progress)
    assert captured.source.prune(captured.progress.seq, 100)
    captured.run("UPDATE t SET v = 'lost as well'")
    captured.read()
    standby.takes_over()
    for other in OTHERS:
        captured.run(other)
    _stops(captured)


def test_a_lost_change_is_found_though_one_with_a_higher_number_was_committed_before_it(
    captured: Captured, standby: Standby
) -> None:
    with captured.connect() as late:
        late.execute("UPDATE t SET v = 'lost' WHERE id = 1")
        captured.run("UPDATE t SET v = 'kept' WHERE id = 2")
        standby.replays_up_to_here()
    assert [change.values[1] for change in captured.read()] == ["lost", "kept"]
    standby.takes_over()
    for other in OTHERS:
        captured.run(other)
    _stops(captured)


def test_a_lost_change_is_found_though_its_transaction_has_a_lower_number_than_the_group_before_it(
    captured: Captured, standby: Standby
) -> None:
    with captured.connect() as late:
        late.execute("UPDATE t SET v = 'lost' WHERE id = 1")
        captured.run("UPDATE t SET v = 'kept' WHERE id = 2")
        assert [change.values[1] for change in captured.read()] == ["kept"]
        standby.replays_up_to_here()
    assert [change.values[1] for change in captured.read()] == ["lost"]
    standby.takes_over()
    for other in OTHERS:
        captured.run(other)
    _stops(captured)


@pytest.mark.parametrize("saved", [True, False], ids=["saved", "killed"])
def test_a_standby_that_lacks_nothing_is_gone_on_with(captured: Captured, standby: Standby, saved: bool) -> None:  # noqa: FBT001
    captured.run("UPDATE t SET v = 'published' WHERE id = 1")
    captured.read()
    if saved:
        captured.restart()
    captured.run("UPDATE t SET v = 'not published' WHERE id = 2")
    standby.replays_up_to_here()
    standby.takes_over()
    captured.run("DELETE FROM t WHERE id = 3")
    captured.restart_from_log()
    assert captured.read()
    captured.assert_same()
    captured.restart()
    assert captured.read() == []


def test_lost_transactions_that_are_not_captured_are_no_loss_and_their_numbers_can_be_given_out_again(
    captured: Captured, standby: Standby
) -> None:
    captured.run("UPDATE t SET v = 'published' WHERE id = 1")
    standby.replays_up_to_here()
    for _ in OTHERS:
        captured.run("SELECT pg_current_xact_id()")
    captured.read()
    standby.takes_over()
    captured.run("UPDATE t SET v = 'with a number of these' WHERE id = 2")
    captured.restart_from_log()
    assert len(captured.read()) == 1
    captured.assert_same()


def test_a_crash_that_lost_what_was_committed_without_waiting_for_the_disk_is_found(
    captured: Captured, server: EmbeddedPostgres
) -> None:
    with psycopg.connect(server.dsn, autocommit=True) as db:
        db.execute("ALTER SYSTEM SET wal_writer_delay = '10s'")
        db.execute("SELECT pg_reload_conf()")
    captured.run("UPDATE t SET v = 'kept'")
    captured.read()
    captured.run("SET synchronous_commit = off", "UPDATE t SET v = 'lost'")
    captured.read()
    server.stop("immediate")
    server.start()
    with captured.connect() as db:
        if db.execute("SELECT FROM t WHERE v = 'lost'").fetchone():
            pytest.skip("the server had written it in time")
    _stops(captured)


def test_what_is_held_is_compared_too(captured: Captured, standby: Standby) -> None:
    with captured.connect() as elsewhere:
        elsewhere.execute("SELECT pg_current_xact_id()")
        captured.run("UPDATE t SET v = 'in the hold' WHERE id = 1")
        assert captured.hold.hold(20.0) == ""
        assert captured.read()
        captured.hold.let_go()
        captured.restart_from_log()
        elsewhere.execute("UPDATE t SET v = 'older, and later' WHERE id = 2")
    captured.read()
    captured.restart_from_log()
    captured.assert_same()
    standby.replays_up_to_here()
    captured.run("UPDATE t SET v = 'lost' WHERE id = 3")
    assert captured.hold.hold(20.0) == ""
    assert captured.read()
    captured.hold.let_go()
    standby.takes_over()
    _stops(captured)


def test_pruning_and_epochs_in_between_do_not_matter(captured: Captured, standby: Standby) -> None:
    for turn, epoch in enumerate((2, 4)):
        captured.run(*OTHERS[turn * 3 : turn * 3 + 3])
        captured.read()
        captured.source.save(captured.progress)
        captured.run(*OTHERS[20:22])
        captured.read()
        assert captured.source.prune(captured.progress.seq - 2, 1)
        assert captured.hold.hold(20.0) == ""
        captured.read()
        captured.hold.fence(f"attempt {epoch}", epoch, Position(1, 10_000 + epoch, 1), captured.progress, 5.0)
        with captured.connect() as db:
            open_side(db, STREAM, captured.schema, f"attempt {epoch + 1}", epoch + 1, {})
        captured.restart_from_log()
        captured.run(OTHERS[turn])
        captured.read()
        captured.restart_from_log()
        captured.source.save(captured.progress)
        assert captured.source.prune(captured.progress.seq, 100)
        captured.restart_from_log()
        captured.assert_same()
    standby.replays_up_to_here()
    captured.run("UPDATE t SET v = 'lost'")
    captured.read()
    standby.takes_over()
    for other in OTHERS:
        captured.run(other)
    _stops(captured)


def test_a_log_of_a_version_that_kept_no_sums_is_gone_on_with_and_compared_from_then_on(captured: Captured) -> None:
    captured.run("UPDATE t SET v = 'published by an older version'")
    captured.read()
    with captured.connect() as db:
        db.execute('UPDATE switchback.side SET checkpoint = \'{"horizon": "3", "seq": 0, "floor": 0}\'')
    captured.forget_sum()
    captured.restart_from_log()
    captured.run("UPDATE t SET v = 'published by this one'")
    captured.read()
    captured.restart_from_log()
    captured.restart()
    captured.run("UPDATE t SET v = 'published behind a checkpoint of this one'")
    captured.read()
    captured.restart_from_log()
    captured.run("UPDATE t SET v = 'by an older version again'")
    captured.read()
    captured.forget_sum()
    captured.restart_from_log()
    captured.run("UPDATE t SET v = 'by this one again'")
    captured.read()
    captured.restart_from_log()
    captured.run("DELETE FROM switchback.changes WHERE seq = (SELECT max(seq) FROM switchback.changes)")
    _stops(captured)


def test_a_change_log_that_changes_between_two_looks_is_looked_at_again(captured: Captured) -> None:
    captured.run("UPDATE t SET v = 'new'")
    high = captured.source.high()
    captured.run("DELETE FROM switchback.changes WHERE seq = (SELECT max(seq) FROM switchback.changes)")
    with pytest.raises(Retry):
        list(captured.source.changes(captured.progress.seq, high))


def test_a_checkpoint_is_not_saved_over_a_loss(captured: Captured) -> None:
    captured.run("UPDATE t SET v = 'new'")
    captured.read()
    captured.run("DELETE FROM switchback.changes")
    with pytest.raises(SourceRestored):
        captured.source.save(captured.progress)
    _stops(captured)


def test_a_capture_that_was_deposed_is_told_so_and_not_of_a_loss(captured: Captured) -> None:
    captured.run("UPDATE t SET v = 'new'")
    captured.read()
    with closing(PostgresSource(captured.dsn, STREAM)) as deposed:
        deposed.take_lease()
        deposed.go_on(captured.progress)
        before = captured.progress
        captured.restart_from_log()
        captured.run("UPDATE t SET v = 'newer'")
        captured.read()
        captured.source.save(captured.progress)
        with pytest.raises(LeaseLost):
            deposed.save(before)


def _write_on(captured: Captured, seed: int, done: threading.Event) -> None:
    chance = random.Random(seed)
    with captured.connect() as db:
        while not done.is_set():
            for _ in range(chance.randrange(1, 5)):
                key = seed * 10 + chance.randrange(5)
                db.execute("INSERT INTO t VALUES (%s, '') ON CONFLICT (id) DO UPDATE SET v = length(t.v)", (key,))
            if chance.random() < 0.2:
                db.rollback()
            db.commit()


def _read_in_a_hold(captured: Captured) -> None:
    if captured.hold.hold(20.0) == "":
        captured.read()
        captured.hold.let_go()


STEPS: list[tuple[int, Callable[[Captured], object]]] = [
    (6, Captured.read),
    (2, lambda captured: captured.source.save(captured.progress)),
    (2, lambda captured: captured.source.prune(captured.progress.seq - 10, 50)),
    (2, Captured.restart_from_log),
    (1, _read_in_a_hold),
]


def test_where_nothing_is_lost_nothing_is_said_however_writers_holds_and_restarts_overlap(captured: Captured) -> None:
    done = threading.Event()
    writers = [threading.Thread(target=_write_on, args=(captured, seed, done), daemon=True) for seed in range(1, 5)]
    for writer in writers:
        writer.start()
    chance, (weights, steps) = random.Random(0), zip(*STEPS, strict=True)
    try:
        with captured.connect() as elsewhere:
            for step in chance.choices(steps, weights, k=200):
                step(captured)
                if chance.random() < 0.3:
                    elsewhere.commit()
                    elsewhere.execute("SELECT pg_current_xact_id()")
    finally:
        done.set()
        for writer in writers:
            writer.join()
    while captured.read():
        pass
    captured.restart_from_log()
    captured.assert_same()


@pytest.mark.parametrize("lost", [False, True], ids=["whole", "lost"])
def test_a_database_that_was_dumped_and_restored_is_compared_like_any_other(
    captured: Captured,
    server: EmbeddedPostgres,
    lost: bool,  # noqa: FBT001
) -> None:
    programs = [*find_system_programs(), *find_wheel_programs()][0].folder
    captured.run("UPDATE t SET v = 'published' WHERE id = 1")
    captured.read()
    if lost:
        dump = subprocess.run([programs / "pg_dump", captured.dsn], check=True, capture_output=True).stdout
    captured.run("UPDATE t SET v = 'published last' WHERE id = 2")
    captured.read()
    if not lost:
        captured.run("UPDATE t SET v = 'not published' WHERE id = 3")
        dump = subprocess.run([programs / "pg_dump", captured.dsn], check=True, capture_output=True).stdout
    with new_database(server.dsn) as dsn:
        subprocess.run([programs / "psql", "-q", dsn], input=dump, check=True, capture_output=True)
        captured.dsn = dsn
        with captured.connect() as db:
            db.execute("UPDATE switchback.side SET guards = ''")
            renew(db, STREAM, captured.schema)
        if lost:
            _stops(captured)
        else:
            captured.restart_from_log()
            captured.run("UPDATE t SET v = 'written in the new one' WHERE id = 1")
            assert len(captured.read()) == 2
            captured.assert_same()
        captured.close()
