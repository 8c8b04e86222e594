"""The keys that changed lately: looked at while both sides work, so that few are left when both stand still."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from operations.verification.latest import Latest, open_latest
from shared.errors import BadInput, Retry, Stop
from shared.groups import Position
from shared.sqlite.connection import connect, writing
from verifying import Pair, Pump, found_in


@pytest.fixture
def pair(tmp_path: Path, postgres_dsn: str) -> Iterator[Pair]:
    pair = Pair(tmp_path, postgres_dsn, rows=200)
    yield pair
    pair.close()


@pytest.fixture
def latest(pair: Pair) -> Iterator[Latest]:
    """Begun behind a full pass that found both sides equal."""
    assert pair.verify().equal
    with Latest(pair.settings, 0, patience=5) as latest:
        latest.begin()
        yield latest


def soon() -> float:
    return time.monotonic() + 10


def test_a_key_that_is_equal_is_settled_outside_the_hold(pair: Pair, latest: Latest) -> None:
    pair.write("UPDATE person SET visits = 0 WHERE id <= 30")
    pair.write("DELETE FROM tag WHERE uses = 7")
    pair.follow()
    first, second = latest.round(1), latest.round(1)
    assert (first.keys_looked_at, first.open_keys) == (31, 0)
    assert second.keys_looked_at == 0
    assert latest.finish(pair.barrier(), soon()) == []


def test_a_key_that_changes_again_is_looked_at_again(pair: Pair, latest: Latest) -> None:
    for visits in (7, 8):
        pair.write("UPDATE person SET visits = ? WHERE id = 1", visits)
        pair.follow()
        assert latest.round(1).keys_looked_at == 1


def test_a_difference_stays_open_and_is_found_in_the_hold(pair: Pair, latest: Latest) -> None:
    pair.write("UPDATE person SET visits = 0 WHERE id IN (3, 4)")
    pair.write("DELETE FROM word WHERE word = 'wörd 7'")
    pair.follow()
    pair.tamper("UPDATE person SET visits = 1 WHERE id = 3")
    pair.tamper("INSERT INTO word VALUES ('wörd 7', 'back again')")
    assert latest.round(1).open_keys == 2
    found = latest.finish(pair.barrier(), soon())
    assert found_in(found) == {("differs", "person", "3", "visits"), ("extra", "word", "'wörd 7'", "")}
    latest.keep()
    assert latest.open_keys == 2


def test_a_key_whose_last_change_is_not_applied_is_not_settled_by_an_equal_row(pair: Pair, latest: Latest) -> None:
    """It went from one value to another and back: the replica, which has seen neither, has the same row."""
    pair.write("UPDATE person SET visits = 0 WHERE id = 1")
    pair.publish()
    pair.write("UPDATE person SET visits = 1 WHERE id = 1")
    pair.publish()
    assert latest.round(0.05).open_keys == 1
    pair.stream.drain()
    assert latest.round(1).open_keys == 0


def test_the_hold_looks_at_what_changed_last_with_the_source_locked(pair: Pair, latest: Latest) -> None:
    pair.write("UPDATE line SET text = 'new' WHERE line < 6")
    upto = pair.barrier()
    pair.tamper("UPDATE line SET text = 'other' WHERE line = 5")
    with closing(connect(pair.path)) as db, writing(db):
        found = latest.finish(upto, soon())
    assert found_in(found) == {("differs", "line", "0, 5", "text")}


def test_a_barrier_that_is_not_applied_in_time_is_told_of(pair: Pair, latest: Latest) -> None:
    pair.write("UPDATE person SET visits = 0 WHERE id = 1")
    upto = pair.barrier(drain=False)
    with pytest.raises(Retry, match="not applied the barrier"):
        latest.finish(upto, time.monotonic() + 0.1)


def test_a_group_of_another_lease_is_not_the_barrier(pair: Pair, latest: Latest) -> None:
    upto = pair.barrier()
    with pytest.raises(Retry, match="not at the barrier"):
        latest.finish(Position(upto.lease + 1, upto.number, upto.offset), soon())


def test_rounds_keep_up_with_an_application_that_writes(pair: Pair, latest: Latest) -> None:
    with Pump(pair):
        rounds = []
        for number in range(60):
            pair.write("UPDATE person SET visits = ? WHERE id % 3 = 0", 1_000 + number)
            rounds.append(latest.round(0.05))
    assert any(found.caught_up for found in rounds)
    assert latest.finish(pair.barrier(), soon()) == []


def test_keys_that_do_not_settle_do_not_keep_others_from_their_turn(
    pair: Pair, latest: Latest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("operations.verification.latest._BATCH", 10)
    pair.write("UPDATE person SET visits = 0 WHERE id <= 20")
    pair.follow()
    pair.tamper("UPDATE person SET visits = 1 WHERE id <= 10")
    for _ in range(3):
        last = latest.round(0)
    assert last.open_keys == 10


def test_what_the_last_full_pass_found_is_found_again_until_it_is_right(pair: Pair) -> None:
    pair.tamper("UPDATE person SET visits = 0 WHERE id IN (3, 4)")
    pair.verify()
    pair.tamper("UPDATE person SET visits = 4 WHERE id = 4")
    with Latest(pair.settings, 0) as latest:
        latest.begin()
        assert latest.round(1)[:3] == (2, 1, latest.here)
        assert found_in(latest.finish(pair.barrier(), soon())) == {("differs", "person", "3", "visits")}


def test_the_record_moves_on_so_that_the_next_begins_there(pair: Pair, latest: Latest) -> None:
    pair.write("UPDATE person SET visits = 0 WHERE id = 1")
    pair.follow()
    reached = latest.round(1).place
    latest.keep()
    last = latest.last_full()
    assert last is not None
    assert (last.place, last.equal) == (reached, True)
    with Latest(pair.settings, 0) as other:
        other.begin()
        assert other.round(1).keys_looked_at == 0


def test_a_record_that_cannot_be_kept_is_told_of_and_nothing_more(
    pair: Pair, capsys: pytest.CaptureFixture[str]
) -> None:
    """A switch that has gone through must not end as an error for that, with the application not told."""
    assert pair.verify().equal
    with open_latest(pair.settings, 0), psycopg.connect(pair.settings.target.get_secret_value()) as db:
        db.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'switchback-v%'")
    assert "how far both sides were compared is not kept" in capsys.readouterr().err


def test_a_column_that_was_widened_meanwhile_makes_no_difference(pair: Pair, latest: Latest) -> None:
    pair.write("UPDATE person SET visits = visits + 1")
    pair.follow()
    latest.round(1)
    pair.write("UPDATE person SET visits = 'many' WHERE id < 10")
    assert latest.finish(pair.barrier(), soon()) == []


def test_without_a_full_pass_it_says_so(pair: Pair) -> None:
    with Latest(pair.settings, 0) as latest:
        assert latest.last_full() is None
        with pytest.raises(BadInput, match="no full verification"):
            latest.begin()
        latest.begin(latest.here)
        assert latest.finish(pair.barrier(), soon()) == []


def test_databases_that_are_in_another_epoch_are_told_of(pair: Pair) -> None:
    with pytest.raises(Stop, match="in epoch 1 the primary is PostgreSQL, but the databases say SQLite"):
        Latest(pair.settings, 1)
