"""Which tables are meant, and in which order they are copied."""

from __future__ import annotations

import pytest

from shared.errors import BadInput
from shared.sqlite.selection import names_in_order, parents_first, select_names
from shared.tables import Column, ForeignKey, Table

KNOWN = ["Users", "orders", "order_items", "logs"]


def table(name: str, *parents: str) -> Table:
    keys = tuple(ForeignKey(("p",), parent, ("id",)) for parent in parents)
    return Table(name, (Column("id"),), ("id",), foreign_keys=keys)


def order(tables: list[Table], first: list[str] | None = None) -> list[str]:
    return [found.name for found in parents_first(tables, first or [])]


def test_without_names_all_tables_are_meant() -> None:
    assert select_names(KNOWN, (), ()) == KNOWN


def test_names_match_without_case_and_with_wildcards() -> None:
    assert select_names(KNOWN, ["users", "order*"], ["*_items"]) == ["Users", "orders"]


def test_a_name_that_matches_nothing_is_refused() -> None:
    with pytest.raises(BadInput, match="no table has this name"):
        select_names(KNOWN, ["user"], ())


@pytest.mark.parametrize(
    ("typed", "remedy"),
    [
        ("USER", "Did you mean Users?"),
        ("order", "Did you mean orders or order_items?"),
        ("xyz", "There are Users, orders, order_items, logs"),
    ],
)
def test_a_mistyped_name_brings_the_nearest_real_ones(typed: str, remedy: str) -> None:
    for tables, exclude in (([typed], []), ([], [typed])):
        with pytest.raises(BadInput) as raised:
            select_names(KNOWN, tables, exclude)
        assert raised.value.remedy == remedy


def test_priorities_keep_the_order_of_their_patterns() -> None:
    assert names_in_order(KNOWN, ["logs", "order*"]) == ["logs", "orders", "order_items"]


def test_parents_come_before_their_children() -> None:
    assert order([table("c", "b"), table("b", "a"), table("a")]) == ["a", "b", "c"]


def test_a_prioritised_table_brings_its_parents_along() -> None:
    assert order([table("x"), table("c", "b"), table("b")], ["c"]) == ["b", "c", "x"]


def test_a_table_that_refers_to_itself_has_no_parent_to_wait_for() -> None:
    assert order([table("a", "a"), table("b")]) == ["a", "b"]


def test_cycles_are_broken_the_same_way_each_time() -> None:
    tables = [table("a", "b"), table("b", "c"), table("c", "a"), table("d", "a")]
    assert order(tables) == ["c", "b", "a", "d"]
