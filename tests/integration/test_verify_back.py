"""Verification after a cutover: PostgreSQL is the primary, and SQLite follows."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from operations.verification.latest import Latest, open_latest
from operations.verification.replica import Replica
from operations.verification.session import Session
from operations.verification.verify import verify_all, verify_changed
from shared.errors import BadInput, Retry, Stop
from verifying import Pair, Quiet, found, found_in
from verifying_back import Turned


@pytest.fixture
def pair(tmp_path: Path, postgres_dsn: str) -> Iterator[Pair]:
    pair = Pair(tmp_path, postgres_dsn, rows=200)
    yield pair
    pair.close()


@pytest.fixture
def turned(pair: Pair) -> Iterator[Turned]:
    turned = Turned(pair)
    yield turned
    turned.close()


def test_both_sides_are_equal_after_the_cutover(pair: Pair, turned: Turned) -> None:
    turned.write(7, 1, 2, 3)
    turned.follow()
    code, text = pair.command()
    assert code == 0
    assert text.startswith("EQUAL: 1,000 rows of 5 tables at change 3, group ")


def test_a_zero_that_lost_its_sign_in_a_real_column_of_sqlites_is_no_difference(pair: Pair, turned: Turned) -> None:
    turned.follow()
    pair.tamper("UPDATE person SET score = '-0' WHERE id IN (5, 6)")
    pair.sneak("UPDATE person SET score = -0.0 WHERE id IN (5, 6)")
    pair.tamper("UPDATE person SET score = 1e-300 WHERE id = 7")
    pair.sneak("UPDATE person SET score = 0.0 WHERE id = 7")
    assert found(pair.verify()) == {("differs", "person", "7", "score")}


def test_findings_are_about_the_replica_which_is_sqlite(pair: Pair, turned: Turned) -> None:
    turned.follow()
    pair.sneak("UPDATE person SET name = 'other' WHERE id = 8")
    pair.sneak("DELETE FROM word WHERE word = 'wörd 7'")
    pair.sneak("INSERT INTO tag VALUES ('never', 0)")
    report = pair.verify()
    assert found(report) == {
        ("differs", "person", "8", "name"),
        ("missing", "word", "'wörd 7'", ""),
        ("extra", "tag", "'never'", ""),
    }
    [name] = [finding for finding in report.findings if finding.kind == "differs"]
    assert (name.source, name.replica) == ("'person 8'", "'other'")


def test_the_columns_of_the_findings_bear_the_right_names(pair: Pair, turned: Turned) -> None:
    turned.follow()
    pair.sneak("UPDATE person SET name = 'other' WHERE id = 8")
    code, text = pair.command("person")
    lines = text.splitlines()
    heading = next(line for line in lines if "PostgreSQL" in line)
    value = next(line for line in lines if "'other'" in line)
    assert code == 1
    assert heading.index("PostgreSQL") < heading.index("SQLite")
    assert value.index("'person 8'") < value.index("'other'")
    assert "--repair" not in text


def test_what_is_merely_late_is_no_difference(pair: Pair, turned: Turned) -> None:
    turned.write(7, *range(1, 100))
    turned.delete(150)
    later = threading.Timer(0.3, turned.follow)
    later.start()
    with pair.session() as session:
        report = verify_all(session, Quiet())
    later.join()
    assert report.equal


def test_a_row_that_changes_behind_the_look_is_settled_by_the_log(
    pair: Pair, turned: Turned, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite is ahead of what was read from PostgreSQL: the spine says what the row must be."""
    turned.write(7, 1, 2)
    turned.delete(3)
    read = Replica.read_primary

    def read_and_go_on(*arguments: object) -> object:
        rows = read(*arguments)  # type: ignore[arg-type]
        turned.write(8, 1)
        turned.delete(2)
        turned.follow()
        return rows

    monkeypatch.setattr(Replica, "read_primary", read_and_go_on)
    with pair.session() as session:
        assert session.verify_keys(session.views["person"], [(1,), (2,), (3,)]).wrong == []


def test_a_replica_that_applies_wrongly_is_found_though_the_row_changes_behind_the_look(
    pair: Pair, turned: Turned, monkeypatch: pytest.MonkeyPatch
) -> None:
    turned.write(7, 1)
    read = Replica.read_primary

    def read_and_go_on(*arguments: object) -> object:
        rows = read(*arguments)  # type: ignore[arg-type]
        turned.write(8, 1)
        turned.follow()
        pair.sneak("UPDATE person SET visits = 7 WHERE id = 1")
        return rows

    monkeypatch.setattr(Replica, "read_primary", read_and_go_on)
    with pair.session() as session:
        [[finding]] = session.verify_keys(session.views["person"], [(1,)]).wrong
    assert (finding.column, finding.source, finding.replica) == ("visits", "8", "7")


def test_entries_that_were_published_before_are_known_by_the_checkpoint(pair: Pair, turned: Turned) -> None:
    """The change log still holds them, and no group comes any more that would tell: the next checkpoint does."""
    turned.write(7, 1)
    turned.publish()
    turned.apply()
    later = threading.Timer(0.2, turned.checkpoint)
    later.start()
    pair.sneak("UPDATE person SET visits = 0 WHERE id = 1")
    assert found(pair.verify()) == {("differs", "person", "1", "visits")}
    later.join()


def test_a_transaction_that_changed_nothing_is_not_waited_for(pair: Pair, turned: Turned) -> None:
    """It was under way when the last group was published, and is over now: no group will ever have it."""
    with psycopg.connect(pair.dsn) as elsewhere:
        elsewhere.execute("SELECT pg_current_xact_id()")
        turned.write(7, 1)
        turned.follow()
    pair.sneak("UPDATE person SET visits = 8 WHERE id = 1")
    with pair.session(patience=5) as session:
        [[finding]] = session.verify_keys(session.views["person"], [(1,)]).wrong
    assert (finding.source, finding.replica) == ("7", "8")


def test_the_change_log_of_another_stream_is_not_waited_for(pair: Pair, turned: Turned) -> None:
    turned.follow()
    pair.tamper("INSERT INTO switchback.changes (number, op, ms, image) VALUES (1000, 'u', 0, '{}')")
    pair.sneak("UPDATE person SET visits = 0 WHERE id = 1")
    assert found(pair.verify()) == {("differs", "person", "1", "visits")}


def test_changes_that_nobody_publishes_are_told_of(pair: Pair, turned: Turned) -> None:
    turned.write(7, 1)
    with pair.session(patience=0.2) as session, pytest.raises(Retry, match="were not published within"):
        verify_all(session, Quiet())


def test_only_what_changed_since_the_pass_before_the_cutover_is_looked_at(pair: Pair) -> None:
    assert pair.verify().equal
    turned = Turned(pair)
    turned.write(7, 1, 2)
    turned.follow()
    pair.sneak("UPDATE person SET visits = 0 WHERE id IN (2, 9)")
    with pair.session() as session:
        report = verify_changed(session, Quiet())
    turned.close()
    assert sum(table.keys for table in report.tables) == 2
    assert found(report) == {("differs", "person", "2", "visits")}


def test_the_latest_keys_are_compared_in_the_hold(pair: Pair, turned: Turned) -> None:
    assert pair.verify().equal
    with open_latest(pair.settings, 1) as latest:
        turned.write(7, 1, 2, 3)
        turned.follow()
        assert latest.round(1)[:2] == (3, 0)
        turned.write(8, 1, 2)
        turned.delete(3)
        upto = turned.follow()
        pair.sneak("UPDATE person SET visits = 7 WHERE id = 1")
        pair.sneak("INSERT INTO person (id) VALUES (3)")
        wrong = latest.finish(upto, time.monotonic() + 10)
    assert latest.looked_at == 3
    assert found_in(wrong) == {("differs", "person", "1", "visits"), ("extra", "person", "3", "")}


def test_a_repair_is_refused_with_what_to_do_instead(pair: Pair, turned: Turned) -> None:
    turned.follow()
    with pytest.raises(BadInput, match="PostgreSQL is the primary"):
        pair.command(repair=True)


def test_two_closed_sides_and_two_open_ones_are_told_of(pair: Pair, turned: Turned) -> None:
    turned.follow()
    pair.tamper("UPDATE switchback.side SET role = 'replica'")
    with pytest.raises(Stop, match="both sides are closed"):
        _open(pair)
    pair.tamper("UPDATE switchback.side SET role = 'primary'")
    pair.write("DELETE FROM _switchback_state WHERE key = 'role'")
    with pytest.raises(Stop, match="both sides say that they are the primary"):
        _open(pair)


def test_a_cutover_during_the_verification_ends_it(pair: Pair) -> None:
    with pair.session() as session:
        pair.write("REPLACE INTO _switchback_state VALUES ('role', 'replica')")
        pair.write("CREATE TRIGGER fence BEFORE UPDATE ON person BEGIN SELECT RAISE(ABORT, 'moved'); END")
        with pytest.raises(Stop, match="swapped during the verification"):
            verify_all(session, Quiet())


def test_another_epoch_than_the_databases_is_told_of(pair: Pair, turned: Turned) -> None:
    turned.follow()
    with pytest.raises(Stop, match="in epoch 2 the primary is SQLite"):
        Latest(pair.settings, 2)


def _open(pair: Pair) -> Session:
    with pair.session() as session:
        return session
