"""A value that SQLite cannot have stops capture; once it is written again, or its row is gone, all goes on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from captured import Captured
from shared.errors import Hold

SCRIPT = """
CREATE TABLE p (id INTEGER PRIMARY KEY, price DECIMAL(10,2), name TEXT);
CREATE TABLE pair (a INTEGER, b TEXT, far REAL, PRIMARY KEY (a, b));
CREATE TABLE reading (at REAL PRIMARY KEY, name TEXT);
INSERT INTO p VALUES (1, 1.25, 'one'), (2, 2.5, 'two');
INSERT INTO pair VALUES (1, 'x', 0.5), (1, 'y', 1.5);
"""
UNFIT = "UPDATE p SET price = 10.0::numeric / 3 WHERE id = 1"


@pytest.fixture
def captured(tmp_path: Path, postgres_dsn: str) -> Iterator[Captured]:
    captured = Captured(tmp_path, postgres_dsn, SCRIPT)
    yield captured
    captured.close()


def _stops(captured: Captured, *words: str) -> None:
    with pytest.raises(Hold) as stopped:
        captured.read()
    assert all(word in str(stopped.value) for word in words)
    captured.restart()


@pytest.mark.parametrize(
    "mend",
    [
        ["UPDATE p SET price = 3.5 WHERE id = 1"],
        ["DELETE FROM p WHERE id = 1"],
        ["UPDATE p SET price = 1, id = 7 WHERE id = 1"],
        ["DELETE FROM p WHERE id = 1", "INSERT INTO p VALUES (1, 3, 'anew')"],
        ["UPDATE p SET price = price / 7 WHERE id = 1", "UPDATE p SET price = 4 WHERE id = 1"],
        ["TRUNCATE p"],
    ],
    ids=lambda mend: mend[-1],
)
def test_a_row_that_was_mended_or_is_gone_lets_the_stream_go_on(captured: Captured, mend: list[str]) -> None:
    captured.run("UPDATE p SET name = 'before' WHERE id = 2", UNFIT)
    _stops(captured, "table p, key 1, column price", "more digits")
    captured.run("UPDATE p SET name = 'behind' WHERE id = 2")
    for statement in mend:
        captured.run(statement)
    assert captured.read()
    captured.assert_same()
    captured.run("UPDATE p SET name = 'later' WHERE id = 2", "INSERT INTO p VALUES (9, 9, 'nine')")
    captured.read()
    captured.assert_same()


def test_a_row_that_came_and_went_with_such_a_value_was_never_there(captured: Captured) -> None:
    captured.run("INSERT INTO p VALUES (5, 'NaN', 'no number')")
    _stops(captured, "key 5")
    captured.run("DELETE FROM p WHERE id = 5")
    assert {change.op for change in captured.read()} == {"d"}
    captured.assert_same()


def test_a_key_of_several_columns_is_found_again(captured: Captured) -> None:
    captured.run("UPDATE pair SET far = 'NaN' WHERE b = 'y'", "UPDATE pair SET far = 7 WHERE b = 'x'")
    _stops(captured, "key 1, y")
    captured.run("UPDATE pair SET far = 8 WHERE b = 'y'")
    captured.read()
    captured.assert_same()


def test_as_long_as_one_row_is_not_mended_it_is_that_one_which_is_named(captured: Captured) -> None:
    captured.run(UNFIT, "UPDATE p SET price = 'NaN' WHERE id = 2")
    _stops(captured, "key 1")
    captured.run("UPDATE p SET price = 1 WHERE id = 1")
    _stops(captured, "key 2")
    captured.run("DELETE FROM p WHERE id = 2")
    captured.read()
    captured.assert_same()


@pytest.mark.parametrize(
    "mend",
    [
        ["DELETE FROM reading WHERE name = 'odd'"],
        ["UPDATE reading SET at = 2.5 WHERE name = 'odd'"],
        ["UPDATE reading SET name = 'still odd' WHERE name = 'odd'", "TRUNCATE reading"],
    ],
    ids=lambda mend: mend[-1],
)
def test_a_row_whose_key_sqlite_cannot_have_lets_the_stream_go_on_when_it_has_another_or_is_gone(
    captured: Captured, mend: list[str]
) -> None:
    captured.run("INSERT INTO reading VALUES (1.5, 'fits'), ('NaN', 'odd')")
    _stops(captured, "table reading", "column at", "NaN", "another key in PostgreSQL, or delete it")
    for statement in mend:
        captured.run(statement)
    captured.read()
    captured.assert_same()
    captured.run("UPDATE reading SET name = 'later'", "INSERT INTO reading VALUES (9, 'nine')")
    captured.read()
    captured.assert_same()


def test_a_group_of_nothing_but_what_sqlite_cannot_have_is_empty(captured: Captured) -> None:
    captured.run("INSERT INTO reading VALUES ('NaN', 'odd')", "DELETE FROM reading")
    before = captured.progress.seq
    assert captured.read() == []
    assert captured.progress.seq == before + 2
    captured.run("INSERT INTO reading VALUES (1.5, 'fits')")
    captured.read()
    captured.assert_same()


def test_a_key_that_goes_back_to_one_that_sqlite_cannot_have_is_not_mended(captured: Captured) -> None:
    captured.run("INSERT INTO reading VALUES ('NaN', 'odd')", "DELETE FROM reading")
    captured.run("INSERT INTO reading VALUES ('NaN', 'odd again')")
    _stops(captured, "table reading", "NaN")


def test_a_whole_table_is_mended_over_many_pages(captured: Captured) -> None:
    captured.run("INSERT INTO p SELECT n, 1, 'many' FROM generate_series(10, 6000) AS n")
    captured.read()
    captured.run("UPDATE p SET price = 10.0::numeric / 3")
    _stops(captured, "column price")
    captured.run("UPDATE p SET price = id")
    assert len(captured.read()) == 2 * 5_993
    captured.assert_same()


def test_what_mends_it_in_a_transaction_that_is_not_decided_yet_is_waited_for(captured: Captured) -> None:
    captured.run(UNFIT)
    with captured.connect() as mending:
        mending.execute("UPDATE p SET price = 1 WHERE id = 1")
        _stops(captured, "key 1")
    captured.read()
    captured.assert_same()
