"""A full pass that is interrupted goes on; its outcome is kept; what differs can be sent again."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from operations.verification.record import read_record
from operations.verification.verify import Report, verify_all
from shared.errors import BadInput
from shared.reports import read_needed
from verifying import Pair, Pump, Quiet, found


@pytest.fixture
def pair(tmp_path: Path, postgres_dsn: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pair]:
    monkeypatch.setattr("operations.verification.verify.CHUNK_ROWS", 100)
    monkeypatch.setattr("operations.verification.verify._SAVE_SECONDS", 0)
    pair = Pair(tmp_path, postgres_dsn, rows=1_000)
    yield pair
    pair.close()


class Interrupted(Exception):
    pass


class Interrupter(Quiet):
    """Ends the pass once so many rows of a table were compared; remembers what was."""

    def __init__(self, table: str = "", rows: int = 0) -> None:
        self._at = (table, rows)
        self.seen: list[tuple[str, int]] = []

    def table(self, name: str, rows: int, _total: int) -> None:
        self.seen.append((name, rows))
        if (name, rows) == self._at:
            raise Interrupted


def interrupt(pair: Pair, table: str, rows: int) -> None:
    with pair.session() as session, pytest.raises(Interrupted):
        verify_all(session, Interrupter(table, rows))


def go_on(pair: Pair) -> tuple[Report, list[tuple[str, int]]]:
    with pair.session() as session:
        progress = Interrupter()
        report = verify_all(session, progress)
    return report, progress.seen


@pytest.mark.parametrize("table", ["person", "word", "tag", "line", "loose"])
def test_an_interrupted_pass_goes_on_where_it_was(pair: Pair, table: str) -> None:
    interrupt(pair, table, 500)
    report, seen = go_on(pair)
    assert report.resumed
    assert report.equal
    assert seen[0] == (table, 500)
    assert all(result.rows == 1_000 for result in report.tables)


def test_a_pass_that_went_on_finds_what_is_behind_and_knows_what_was_before(pair: Pair) -> None:
    pair.tamper("UPDATE person SET visits = 0 WHERE id IN (50, 950)")
    pair.tamper("INSERT INTO tag VALUES ('extra', 0)")
    interrupt(pair, "person", 500)
    report, _ = go_on(pair)
    assert found(report) == {
        ("differs", "person", "50", "visits"),
        ("differs", "person", "950", "visits"),
        ("extra", "tag", "'extra'", ""),
    }


def test_what_was_put_right_during_the_interruption_is_no_finding(pair: Pair) -> None:
    pair.tamper("UPDATE person SET visits = 0 WHERE id = 50")
    interrupt(pair, "person", 500)
    pair.tamper("UPDATE person SET visits = 50 WHERE id = 50")
    assert go_on(pair)[0].equal


def test_a_row_changed_wrongly_behind_the_pass_is_found_by_its_end(pair: Pair) -> None:
    interrupt(pair, "person", 500)
    pair.write("UPDATE person SET visits = -1 WHERE id = 50")
    pair.follow()
    pair.tamper("UPDATE person SET visits = 50 WHERE id = 50")
    assert found(go_on(pair)[0]) == {("differs", "person", "50", "visits")}


def test_a_vacuum_in_between_does_not_let_rows_slip_through(pair: Pair) -> None:
    """It gives other rowids to the rows behind those that were compared: 500 behind the cursor become 100 before it."""
    pair.write("DELETE FROM loose")
    pair.write("DELETE FROM tag WHERE uses <= 400")
    pair.follow()
    interrupt(pair, "tag", 100)
    pair.tamper("UPDATE tag SET uses = 0 WHERE uses = 550")
    with closing(sqlite3.connect(pair.path)) as db:
        db.execute("VACUUM")
    assert found(go_on(pair)[0]) == {("differs", "tag", "'Tag 550'", "uses")}


def test_the_outcome_is_kept_in_the_replica(pair: Pair) -> None:
    report = pair.verify()
    with psycopg.connect(pair.dsn) as db:
        unfinished, verified = read_record(db, "test")
    assert unfinished is None
    assert verified is not None
    assert verified.equal
    assert verified.place == report.place
    assert verified.rows == 5_000


def test_a_pass_over_some_tables_is_no_full_pass(pair: Pair) -> None:
    assert pair.command("person")[0] == 0
    with psycopg.connect(pair.dsn) as db:
        assert read_record(db, "test") == (None, None)


def test_changed_keys_without_a_full_pass_are_refused(pair: Pair) -> None:
    with pytest.raises(BadInput, match="no full verification"):
        pair.command(changed=True)


def test_the_embedded_log_is_asked_to_keep_what_followed_the_last_pass(pair: Pair) -> None:
    log = pair.stream.log
    place = pair.verify().place
    pair.write("UPDATE person SET visits = 0 WHERE id = 1")
    pair.follow()
    needed = read_needed(log, time.time_ns() // 1_000_000)
    assert needed is not None
    assert needed.offset == place.offset
    log.spine.discard(needed.offset)
    assert pair.command(changed=True)[0] == 0
    later = read_needed(log, time.time_ns() // 1_000_000)
    assert later is not None
    assert later.offset > place.offset


def test_an_interrupted_pass_does_not_let_go_of_what_the_last_one_needs(pair: Pair) -> None:
    pair.verify()
    pair.write("UPDATE person SET visits = 0 WHERE id = 1")
    pair.follow()
    before = read_needed(pair.stream.log, time.time_ns() // 1_000_000)
    interrupt(pair, "person", 500)
    assert read_needed(pair.stream.log, time.time_ns() // 1_000_000) == before


def test_differing_rows_are_sent_through_the_log_and_equal_then(pair: Pair) -> None:
    pair.tamper("UPDATE person SET visits = 0 WHERE id < 20")
    pair.tamper("DELETE FROM word WHERE word > 'wörd 95'")
    pair.sneak("DELETE FROM line WHERE line < 5")
    pair.tamper("INSERT INTO tag VALUES ('extra', 0)")
    before = pair.logged()
    with Pump(pair):
        report = pair.verify(repair=True)
    assert report.equal
    repaired = {table.name: table.repaired for table in report.tables}
    assert repaired["person"] == 19
    assert repaired["line"] == 4
    assert repaired["tag"] == 1
    assert pair.logged() - before == sum(repaired.values())
    assert pair.verify().equal


def test_rows_whose_keys_are_not_utf8_are_found_repaired_and_looked_at_again(pair: Pair) -> None:
    pair.write("INSERT INTO word VALUES (CAST(X'FF41' AS TEXT), 'raw'), (CAST(X'FF42' AS TEXT), 'raw')")
    pair.follow()
    assert pair.verify().equal
    pair.tamper(r"DELETE FROM word WHERE word = '\xff41'")
    pair.tamper(r"INSERT INTO word VALUES ('\xff43', 'not in SQLite')")
    assert {kind for kind, *_ in found(pair.verify())} == {"missing", "extra"}
    with Pump(pair):
        report = pair.verify(repair=True)
    assert report.equal
    pair.write("UPDATE word SET meaning = 'changed' WHERE word = CAST(X'FF42' AS TEXT)")
    pair.follow()
    assert pair.command(changed=True)[0] == 0


def test_a_repair_that_does_not_help_is_still_a_difference(pair: Pair) -> None:
    pair.tamper(
        "CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN new.visits = 0; RETURN new; END$$;"
        "CREATE TRIGGER spoil BEFORE INSERT OR UPDATE ON person FOR EACH ROW EXECUTE FUNCTION spoil();"
        "ALTER TABLE person ENABLE ALWAYS TRIGGER spoil; UPDATE person SET score = 0 WHERE id = 8"
    )
    with Pump(pair):
        report = pair.verify(repair=True)
    assert found(report) == {("differs", "person", "8", "visits")}


def test_without_repair_nothing_is_written_to_the_source(pair: Pair) -> None:
    pair.tamper("UPDATE person SET visits = 0")
    before = pair.path.read_bytes(), pair.logged()
    pair.verify()
    assert (pair.path.read_bytes(), pair.logged()) == before
