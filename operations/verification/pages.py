"""The SELECTs that read a table in SQLite: page after page, and the row of a key."""

from __future__ import annotations

from collections.abc import Sequence

from operations.verification.view import View
from shared.sqlite.connection import quote
from shared.sqlite.terms import current_image, is_rowid_key, key_collations, same_key
from shared.tables import Table


class Pages:
    """The SELECTs that page a table and look rows up."""

    def __init__(self, view: View) -> None:
        self.view = view
        table = view.table
        terms = current_image(table, "r")
        order, self.cursor, self.hidden = _order(view)
        hidden = [order[0][0]] if self.hidden else []
        rows = f"FROM {quote(table.name)} AS r"
        select = f"SELECT {', '.join(terms + hidden)} {rows}"
        collated = ", ".join(f"{term} COLLATE {quote(collation)}" if collation else term for term, collation in order)
        marks = ", ".join("?" * len(order))
        tail = f" ORDER BY {collated} LIMIT ?"
        self.first = f"{select}{tail}"
        compared = f"({collated}) > ({marks})" if len(order) > 1 else f"{collated} > ?"
        self.following = f"{select} WHERE {compared}{tail}"
        marks_of_key = [f"?{place + 1}" for place in range(len(table.key))]
        sought = f"{rows} WHERE {same_key(table, 'r', marks_of_key)}"
        self.single = f"SELECT {', '.join(terms)} {sought}"
        self.known = f"SELECT 1 {sought}"


def _order(view: View) -> tuple[list[tuple[str, str]], Sequence[int], bool]:
    """Terms with their collations, where the cursor's values stand in a row, and whether the rowid is read besides."""
    table = view.table
    if is_rowid_key(table) or view.ranged or not table.rowid_name:
        collations = key_collations(table)
        terms = [
            (_term(table, name), "" if is_rowid_key(table) or name not in collations else collations[name])
            for name in table.key
        ]
        return terms, table.key_places, False
    return [(f"r.{quote(table.rowid_name)}", "")], (-1,), True


def _term(table: Table, name: str) -> str:
    return current_image(table, "r")[table.names.index(name)]
