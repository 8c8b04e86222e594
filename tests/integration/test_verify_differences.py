"""Each kind of difference is found and named, and where there is none, none is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from verifying import TABLES, Pair, found


@pytest.fixture
def pair(tmp_path: Path, postgres_dsn: str) -> Iterator[Pair]:
    pair = Pair(tmp_path, postgres_dsn)
    yield pair
    pair.close()


def test_two_equal_sides_are_equal(pair: Pair) -> None:
    report = pair.verify()
    assert report.equal
    assert {table.name: table.rows for table in report.tables} == dict.fromkeys(TABLES, 100)


def test_an_empty_table_is_equal_to_an_empty_table(pair: Pair) -> None:
    for table in TABLES:
        pair.write(f'DELETE FROM "{table}"')
    pair.follow()
    report = pair.verify()
    assert report.equal
    assert sum(table.rows for table in report.tables) == 0


@pytest.mark.parametrize(
    ("table", "where", "key"),
    [
        ("person", "id = 1", "1"),
        ("person", "id = 100", "100"),
        ("word", "word = 'wörd 50'", "'wörd 50'"),
        ("tag", "tag = 'Tag 50'", "'Tag 50'"),
        ("line", "book = 7 AND line = 50", "7, 50"),
        ("loose", "b = 7", "7"),
    ],
)
def test_a_row_that_postgresql_lacks_is_missing(pair: Pair, table: str, where: str, key: str) -> None:
    pair.tamper(f"DELETE FROM {table} WHERE {where}")
    report = pair.verify()
    assert found(report) == {("missing", table, key, "")}
    assert report.wrong_rows == 1


@pytest.mark.parametrize(
    ("table", "where", "key"),
    [
        ("person", "id = 1", "1"),
        ("person", "id = 100", "100"),
        ("word", "word = 'wörd 50'", "'wörd 50'"),
        ("tag", "tag = 'Tag 50'", "'Tag 50'"),
        ("line", "book = 7 AND line = 50", "7, 50"),
        ("loose", "b = 7", "7"),
    ],
)
def test_a_row_that_sqlite_lacks_is_extra(pair: Pair, table: str, where: str, key: str) -> None:
    pair.sneak(f"DELETE FROM {table} WHERE {where}")
    assert found(pair.verify()) == {("extra", table, key, "")}


def test_rows_before_behind_and_between_all_others_are_extra(pair: Pair) -> None:
    pair.tamper("INSERT INTO person (id, name) VALUES (-5, 'before'), (1000, 'behind')")
    pair.tamper("INSERT INTO word VALUES ('a', ''), ('wörd 50a', ''), ('zzz', '')")
    assert found(pair.verify()) == {
        ("extra", "person", "-5", ""),
        ("extra", "person", "1000", ""),
        ("extra", "word", "'a'", ""),
        ("extra", "word", "'wörd 50a'", ""),
        ("extra", "word", "'zzz'", ""),
    }


def test_more_extra_rows_than_a_chunk_holds_are_all_found(pair: Pair) -> None:
    pair.tamper("INSERT INTO person (id) SELECT n FROM generate_series(101, 26000) AS n")
    report = pair.verify()
    assert report.wrong_rows == 25_900


def test_a_table_that_is_empty_in_sqlite_and_full_in_postgresql_is_extra(pair: Pair) -> None:
    pair.sneak("DELETE FROM person")
    pair.sneak("DELETE FROM tag")
    assert pair.verify().wrong_rows == 200


@pytest.mark.parametrize(
    ("change", "column", "mine", "theirs"),
    [
        ("name = 'other'", "name", ("TEXT", "'person 8'"), ("TEXT", "'other'")),
        ("name = NULL", "name", ("TEXT", "'person 8'"), ("NULL", "NULL")),
        ("score = 1.0000000000000002", "score", ("REAL", "1.0"), ("REAL", "1.0000000000000002")),
        ("visits = 9", "visits", ("INTEGER", "8"), ("INTEGER", "9")),
        ("body = '\\x0800'", "body", ("BLOB", "X'08'"), ("BLOB", "X'0800'")),
    ],
)
def test_a_changed_value_is_named_with_both_values(
    pair: Pair, change: str, column: str, mine: tuple[str, str], theirs: tuple[str, str]
) -> None:
    pair.tamper(f"UPDATE person SET {change} WHERE id = 8")
    [finding] = pair.verify().findings
    assert (finding.kind, finding.table, finding.key, finding.column) == ("differs", "person", "8", column)
    assert (finding.source_class, finding.source) == mine
    assert (finding.replica_class, finding.replica) == theirs


@pytest.mark.parametrize(
    ("change", "mine", "theirs"),
    [
        ("name = CAST(name AS BLOB)", ("BLOB", "X'706572736F6E2038'"), ("TEXT", "'person 8'")),
        ("visits = 'eight'", ("TEXT", "'eight'"), ("INTEGER", "8")),
        ("visits = 8.5", ("REAL", "8.5"), ("INTEGER", "8")),
        ("body = 8", ("INTEGER", "8"), ("BLOB", "X'08'")),
        ("body = 8.0", ("REAL", "8.0"), ("BLOB", "X'08'")),
    ],
)
def test_another_storage_class_is_a_difference(
    pair: Pair, change: str, mine: tuple[str, str], theirs: tuple[str, str]
) -> None:
    pair.sneak(f"UPDATE person SET {change} WHERE id = 8")
    [finding] = pair.verify().findings
    assert (finding.source_class, finding.source) == mine
    assert (finding.replica_class, finding.replica) == theirs


def test_minus_zero_is_not_zero_in_a_column_that_can_have_it(tmp_path: Path, postgres_dsn: str) -> None:
    with closing(Pair(tmp_path, postgres_dsn, more="CREATE TABLE bare (id INTEGER PRIMARY KEY, v)")) as pair:
        pair.write("INSERT INTO bare VALUES (1, 0.0)")
        pair.follow()
        pair.tamper("UPDATE bare SET v = '-0.0' WHERE id = 1")
        [finding] = pair.verify().findings
        assert (finding.source, finding.replica) == ("0.0", "-0.0")


def test_two_rows_with_swapped_values_are_two_differences(pair: Pair) -> None:
    pair.tamper(
        "UPDATE word SET meaning = CASE word WHEN 'wörd 3' THEN 'meaning 4' ELSE 'meaning 3' END"
        " WHERE word IN ('wörd 3', 'wörd 4')"
    )
    assert found(pair.verify()) == {
        ("differs", "word", "'wörd 3'", "meaning"),
        ("differs", "word", "'wörd 4'", "meaning"),
    }


def test_a_key_in_another_case_is_another_key(pair: Pair) -> None:
    pair.tamper("UPDATE tag SET tag = 'TAG 50' WHERE tag = 'Tag 50'")
    assert found(pair.verify()) == {("missing", "tag", "'Tag 50'", ""), ("extra", "tag", "'TAG 50'", "")}


def test_every_differing_column_of_a_row_is_named(pair: Pair) -> None:
    pair.tamper("UPDATE person SET name = 'x', visits = 0 WHERE id = 8")
    report = pair.verify()
    assert {finding.column for finding in report.findings} == {"name", "visits"}
    assert report.wrong_rows == 1


def test_texts_that_are_not_utf8_in_sqlite_alone_are_differences(pair: Pair) -> None:
    pair.sneak("UPDATE person SET name = CAST(X'FF41' AS TEXT) WHERE id = 8")
    [finding] = pair.verify().findings
    assert finding.source == "CAST(X'FF41' AS TEXT)"


def test_only_the_tables_asked_for_are_compared(pair: Pair) -> None:
    pair.tamper("DELETE FROM person WHERE id = 1")
    assert pair.command("word", "t*")[0] == 0
    assert pair.command("person")[0] == 1


def test_many_findings_are_counted_and_not_all_kept(pair: Pair) -> None:
    pair.tamper("INSERT INTO person (id) SELECT n FROM generate_series(1000, 3999) AS n")
    report = pair.verify()
    assert report.wrong_rows == 3_000
    assert len(report.findings) == 1_000


def test_long_values_are_shown_shortened(pair: Pair) -> None:
    pair.sneak("UPDATE person SET name = ? WHERE id = 8", "x" * 100_000)
    [finding] = pair.verify().findings
    assert len(finding.source) < 120
