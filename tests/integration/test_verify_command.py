"""What the operator sees of a verification: exit codes, the last line, JSON, and one line for each mistake."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from shared.errors import BadInput, SchemaChanged, Stop
from verifying import Pair, Pump


@pytest.fixture
def pair(tmp_path: Path, postgres_dsn: str) -> Iterator[Pair]:
    pair = Pair(tmp_path, postgres_dsn, rows=20)
    yield pair
    pair.close()


def test_the_last_line_says_what_was_compared_where_and_how_fast(pair: Pair) -> None:
    pair.write("UPDATE person SET visits = 0 WHERE id = 1")
    pair.follow()
    code, text = pair.command()
    assert code == 0
    [line] = text.splitlines()
    assert line.startswith("EQUAL: 100 rows of 5 tables at change 1, group ")
    assert line.endswith("/s")


def test_differences_are_listed_and_the_exit_code_is_1(pair: Pair) -> None:
    pair.tamper("UPDATE person SET name = 'other' WHERE id = 8")
    pair.tamper("DELETE FROM word WHERE word = 'wörd 3'")
    code, text = pair.command()
    assert code == 1
    assert "TEXT 'person 8'" in text
    assert "TEXT 'other'" in text
    assert "missing" in text
    assert text.splitlines()[-1].startswith("DIFFERENT: 2 rows; compared 100 rows of 5 tables")


def test_json_is_one_document_with_the_same_facts(pair: Pair, capsys: pytest.CaptureFixture[str]) -> None:
    pair.sneak("UPDATE person SET name = CAST(X'FF' AS TEXT) WHERE id = 8")
    code, text = pair.command(json=True)
    document = json.loads(capsys.readouterr().out)
    assert (code, text) == (1, "")
    assert (document["equal"], document["rows"], document["wrong_rows"]) == (False, 100, 1)
    assert document["place"]["seq"] == 0
    [finding] = document["findings"]
    assert (finding["key"], finding["source"]) == ("8", "CAST(X'FF' AS TEXT)")


def test_changed_keys_are_counted_in_the_last_line(pair: Pair) -> None:
    pair.command()
    pair.write("UPDATE person SET visits = 0 WHERE id < 4")
    pair.follow()
    code, text = pair.command(changed=True)
    assert code == 0
    assert text.startswith("EQUAL: 3 changed keys of 5 tables since change 0")


def test_a_repair_is_told_of(pair: Pair) -> None:
    pair.tamper("DELETE FROM person")
    with Pump(pair):
        code, text = pair.command(repair=True)
    assert code == 0
    assert text.splitlines()[-1].endswith("sent again and equal now: 20 rows")


def test_a_file_that_is_not_there_is_one_line(pair: Pair, tmp_path: Path) -> None:
    pair.path = tmp_path / "nowhere.db"
    with pytest.raises(BadInput, match="no such file"):
        pair.command()


def test_a_table_that_is_not_there_is_one_line(pair: Pair) -> None:
    with pytest.raises(BadInput, match="no table has this name"):
        pair.command("nothing")


def test_another_source_is_refused(pair: Pair) -> None:
    with closing(sqlite3.connect(pair.path)) as db, db:
        db.execute("UPDATE _switchback_state SET value = 'another' WHERE key = 'incarnation'")
    with pytest.raises(BadInput, match="made from another source"):
        pair.command()


def test_an_older_copy_of_the_source_is_refused(pair: Pair, tmp_path: Path) -> None:
    with closing(sqlite3.connect(pair.path)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copy(pair.path, tmp_path / "older.db")
    pair.write("UPDATE person SET visits = 0")
    pair.follow()
    pair.path = tmp_path / "older.db"
    with pytest.raises(BadInput, match="went back in time"):
        pair.command()


def test_a_copy_that_is_not_finished_is_refused(pair: Pair) -> None:
    pair.tamper("UPDATE switchback.ledger SET copied = false")
    with pytest.raises(BadInput, match="the copy is not finished"):
        pair.command()


def test_a_target_without_a_ledger_is_refused(pair: Pair) -> None:
    pair.tamper("DROP SCHEMA switchback CASCADE")
    with pytest.raises(BadInput, match="no sink ever worked"):
        pair.command()


def test_a_target_table_that_was_dropped_is_named(pair: Pair) -> None:
    pair.tamper("DROP TABLE person")
    with pytest.raises(SchemaChanged, match="the target table is gone"):
        pair.command()


def test_a_source_table_that_lost_its_triggers_is_named(pair: Pair) -> None:
    pair.write("DROP TABLE person")
    with pytest.raises(SchemaChanged, match="table person is gone"):
        pair.command()


def test_a_replica_that_stands_still_is_no_difference_and_not_exit_code_1(pair: Pair) -> None:
    pair.write("UPDATE person SET visits = 0")
    with pytest.raises(Stop, match="not applied within") as caught:
        pair.command(patience=0.1)
    assert caught.value.exit_code == 3


def test_changes_that_the_log_no_longer_holds_ask_for_a_full_pass(pair: Pair) -> None:
    pair.command()
    for number in range(3):
        pair.write("UPDATE person SET visits = ?", number)
        pair.follow()
    pair.stream.log.spine.discard(pair.stream.log.spine.bounds()[1])
    with pytest.raises(BadInput, match="no longer in the log"):
        pair.command(changed=True)
    assert pair.command()[0] == 0
