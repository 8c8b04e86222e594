"""A batch is the outcome of its changes: the last state of each key."""

from __future__ import annotations

from shared.groups import Change
from shared.tables import Column, Schema, Table
from sink.batch import collapse

ONE = Table("one", (Column("id"), Column("text")), key=("id",))
TWO = Table("two", (Column("text"), Column("b"), Column("a")), key=("a", "b"))
SCHEMA = Schema((ONE, TWO))


def change(table: str, op: str, *values: object) -> Change:
    return Change(table, op, 1, 1_000, values)  # type: ignore[arg-type]


def test_the_last_image_of_a_key_wins() -> None:
    batch = collapse(SCHEMA, [change("one", "c", 1, "first"), change("one", "u", 1, "second")])
    assert batch.tables["one"].upserts() == [(1, "second")]
    assert batch.tables["one"].deletes() == []


def test_a_row_that_came_and_went_is_a_delete() -> None:
    batch = collapse(SCHEMA, [change("one", "c", 1, "first"), change("one", "d", 1, "first")])
    assert batch.tables["one"].upserts() == []
    assert batch.tables["one"].deletes() == [1]


def test_a_key_that_is_given_out_again_is_an_upsert() -> None:
    batch = collapse(SCHEMA, [change("one", "d", 1, "first"), change("one", "c", 1, "again")])
    assert batch.tables["one"].upserts() == [(1, "again")]


def test_a_composite_key_is_taken_in_the_order_of_the_key() -> None:
    batch = collapse(SCHEMA, [change("two", "d", "text", "b", "a")])
    assert batch.tables["two"].deletes() == [("a", "b")]


def test_a_key_change_deletes_the_old_key_and_keeps_the_new_row() -> None:
    batch = collapse(SCHEMA, [change("one", "k", 1, "x"), change("one", "c", 2, "x")])
    assert batch.tables["one"].deletes() == [1]
    assert batch.tables["one"].upserts() == [(2, "x")]


def test_the_changes_stay_there_in_their_order() -> None:
    changes = [change("one", "c", 1, "a"), change("two", "c", "t", 2, 3), change("one", "d", 1, "a")]
    batch = collapse(SCHEMA, changes)
    assert [(c.table, key) for c, key in batch.in_order()] == [("one", 1), ("two", (3, 2)), ("one", 1)]
    assert len(batch) == len(changes)


def test_keys_of_two_storage_classes_are_two_keys() -> None:
    batch = collapse(SCHEMA, [change("one", "k", 1, "whole"), change("one", "c", 1.0, "real")])
    assert batch.tables["one"].deletes() == [1]
    assert batch.tables["one"].upserts() == [(1.0, "real")]
    assert [key for _, key in batch.in_order()] == [1, 1.0]


def test_halves_are_the_outcomes_of_the_first_and_the_last_changes() -> None:
    changes = [change("one", "c", 1, "a"), change("one", "u", 1, "b"), change("one", "d", 1, "b")]
    first, second = collapse(SCHEMA, changes).halves()
    assert first.tables["one"].upserts() == [(1, "a")]
    assert second.tables["one"].deletes() == [1]
