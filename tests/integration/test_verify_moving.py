"""Verification of two sides that move: what is merely late is no difference, and what is wrong is not excused."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from background import Background
from daemons import wait_until
from operations.verification.session import Session
from operations.verification.settling import Settler
from operations.verification.verify import Report, verify_all, verify_changed, verify_tables
from shared.errors import Retry
from shared.sqlite.changelog import prune
from shared.sqlite.connection import connect, writing
from verifying import Pair, Pump, Quiet, found


@pytest.fixture
def pair(tmp_path: Path, postgres_dsn: str) -> Iterator[Pair]:
    pair = Pair(tmp_path, postgres_dsn, rows=3_000)
    yield pair
    pair.close()


class Application(Background):
    """Writes all the time, to a few hot rows above all; also moves rows to other keys."""

    def __init__(self, pair: Pair) -> None:
        super().__init__()
        self._path = pair.path
        self.transactions = 0

    def run(self) -> None:
        choose = random.Random(1)
        with closing(sqlite3.connect(self._path, timeout=30, isolation_level=None)) as db:
            while not self._end.wait(0.0005):
                db.execute("BEGIN IMMEDIATE")
                self._write(db, choose)
                db.execute("COMMIT")
                self.transactions += 1

    def _write(self, db: sqlite3.Connection, choose: random.Random) -> None:
        one = choose.randint(1, 3_000)
        db.execute("UPDATE person SET visits = visits + 1 WHERE id IN (1, 1500, 3000)")
        db.execute("UPDATE person SET score = ? WHERE id = ?", (choose.random(), one))
        db.execute("DELETE FROM word WHERE word = ?", (f"wörd {one}",))
        db.execute("INSERT OR REPLACE INTO word VALUES (?, ?)", (f"wörd {choose.randint(1, 4_000)}", "again"))
        db.execute("UPDATE OR REPLACE tag SET tag = ? WHERE tag = ?", (f"moved {one % 50}", f"tag {one}"))
        db.execute("UPDATE OR REPLACE line SET book = ? WHERE line = ?", (choose.randint(0, 500), one))
        db.execute("INSERT INTO loose VALUES ('new', ?)", (one,))


def test_changes_in_between_are_no_differences(pair: Pair) -> None:
    reports: list[Report] = []
    with Application(pair) as application, Pump(pair, 0.02), pair.session() as session:
        while len(reports) < 5 or application.transactions <= 100:
            reports.append(verify_all(session, Quiet()))
    assert [report.findings for report in reports] == [[]] * len(reports)
    assert sum(table.keys for report in reports for table in report.tables) > 0


def test_a_real_difference_is_found_among_the_changes(pair: Pair) -> None:
    pair.tamper("UPDATE person SET name = 'wrong' WHERE id IN (1, 3000)")
    pair.tamper("DELETE FROM tag WHERE tag = 'Tag 2998'")
    pair.tamper("INSERT INTO word VALUES ('never', '')")
    with Application(pair), Pump(pair, 0.02), pair.session("person", "word", "tag") as session:
        report = verify_tables(session, Quiet())
    assert {("missing", "tag", "'Tag 2998'", ""), ("extra", "word", "'never'", "")} <= found(report)


def test_a_difference_in_a_row_that_changes_all_the_time_is_found(pair: Pair) -> None:
    """PostgreSQL's row lags behind by one visit for ever: each look meets another value, and all are wrong."""
    pair.tamper(
        "CREATE FUNCTION late() RETURNS trigger LANGUAGE plpgsql AS"
        " $$BEGIN IF new.id = 1500 THEN new.visits = new.visits - 1; END IF; RETURN new; END$$;"
        "CREATE TRIGGER late BEFORE INSERT OR UPDATE ON person FOR EACH ROW EXECUTE FUNCTION late();"
        "ALTER TABLE person ENABLE ALWAYS TRIGGER late"
    )
    with Application(pair) as application, Pump(pair, 0.005), pair.session("person") as session:
        wait_until("the row has changed", lambda: application.transactions)
        report = verify_tables(session, Quiet())
    assert found(report) == {("differs", "person", "1500", "visits")}


def test_a_column_that_was_widened_meanwhile_makes_no_difference(pair: Pair) -> None:
    with pair.session() as session:
        pair.write("UPDATE person SET visits = 'many' WHERE id = 7")
        pair.follow()
        assert session.views["person"].types[3] == "bigint"
        report = verify_all(session, Quiet())
        assert session.views["person"].types[3] != "bigint"
    assert report.findings == []


def test_a_key_is_settled_by_the_change_log_where_the_replica_is_ahead(pair: Pair) -> None:
    with pair.session() as session:
        ahead = _Ahead(session, pair)
        settler = Settler(ahead, session.replica)  # type: ignore[arg-type]
        assert settler.settle(session.views["person"], [(1,), (2,), (9_999,)]) == {}
        assert ahead.reads == 1


def test_where_the_change_log_was_pruned_both_sides_are_read_again(pair: Pair) -> None:
    with pair.session() as session:
        ahead = _Ahead(session, pair, pruned=3)
        settler = Settler(ahead, session.replica)  # type: ignore[arg-type]
        assert settler.settle(session.views["person"], [(1,), (2,), (9_999,)]) == {}
        assert ahead.reads == 4


def test_what_cannot_be_settled_is_said_to_be_unsettled(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("operations.verification.settling._PAUSE_SECONDS", 0)
    with pair.session() as session:
        ahead = _Ahead(session, pair, pruned=1_000)
        settler = Settler(ahead, session.replica)  # type: ignore[arg-type]
        wrong = settler.settle(session.views["person"], [(1,), (2,)])
    assert [finding.kind for findings in wrong.values() for finding in findings] == ["unsettled"]


class _Ahead:
    """The source; after each read of rows it changes, and the replica follows before it is read."""

    def __init__(self, session: Session, pair: Pair, pruned: int = 0) -> None:
        self._source, self._pair, self._pruned = session.source, pair, pruned
        self.read_changes = session.source.read_changes
        self.reads = 0

    def read_rows(self, *arguments: object) -> object:
        rows = self._source.read_rows(*arguments)  # type: ignore[arg-type]
        self.reads += 1
        self._pair.write("UPDATE person SET visits = visits + 1 WHERE id = 1")
        self._pair.write("INSERT OR REPLACE INTO person (id, visits) VALUES (9999, ?)", self.reads)
        self._pair.follow()
        if self.reads <= self._pruned:
            with closing(connect(self._pair.path)) as db, writing(db):
                prune(db, 10**9, 10**9)
        return rows


def test_a_replica_that_does_not_come_up_is_named_with_both_positions(pair: Pair) -> None:
    pair.write("UPDATE person SET visits = 0 WHERE id = 1")
    with pair.session(patience=0.2) as session, pytest.raises(Retry, match=r"change 1 was not applied within .* at 0"):
        verify_all(session, Quiet())


def test_only_the_keys_that_changed_since_the_full_pass_are_compared(pair: Pair) -> None:
    assert pair.verify().equal
    pair.write("UPDATE person SET visits = 0 WHERE id < 4")
    pair.write("DELETE FROM word WHERE word = 'wörd 7'")
    pair.follow()
    pair.tamper("UPDATE person SET visits = 1 WHERE id IN (3, 2000)")
    pair.tamper("INSERT INTO word VALUES ('wörd 7', 'back again')")
    with pair.session() as session:
        report = verify_changed(session, Quiet())
    assert {table.name: table.keys for table in report.tables if table.keys} == {"person": 3, "word": 1}
    assert found(report) == {("differs", "person", "3", "visits"), ("extra", "word", "'wörd 7'", "")}


def test_what_was_wrong_stays_wrong_until_it_is_right(pair: Pair) -> None:
    pair.tamper("UPDATE person SET visits = 0 WHERE id IN (3, 4)")
    pair.verify()
    pair.tamper("UPDATE person SET visits = 4 WHERE id = 4")
    with pair.session() as session:
        first, second = verify_changed(session, Quiet()), verify_changed(session, Quiet())
    assert found(first) == found(second) == {("differs", "person", "3", "visits")}


def test_each_look_at_the_changes_begins_where_the_last_ended(pair: Pair) -> None:
    pair.verify()
    pair.write("UPDATE person SET visits = 0 WHERE id = 1")
    pair.follow()
    with pair.session() as session:
        counts = [sum(table.keys for table in verify_changed(session, Quiet()).tables) for _ in range(2)]
    assert counts == [1, 0]
