"""The SELECTs that read a table in SQLite: page after page, and the row of a key."""

from __future__ import annotations

from collections.abc import Sequence

from operations.verification.comparing import Key
from operations.verification.view import View
from shared.sqlite.connection import quote
from shared.sqlite.parameters import has_raw, marks
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
        self._tail = f" ORDER BY {collated} LIMIT ?"
        self.first = f"{select}{self._tail}"
        self._behind = f"{select} WHERE ({collated}) >" if len(order) > 1 else f"{select} WHERE {collated} >"
        self._single = f"SELECT {', '.join(terms)} {rows} WHERE "
        self._known = f"SELECT 1 {rows} WHERE "
        self._usual = self._sought([f"?{place}" for place in range(1, len(table.key) + 1)])

    def following(self, after: Key) -> str:
        """The page behind that cursor."""
        return f"{self._behind} ({', '.join(marks(after))}){self._tail}{len(after) + 1}"

    def single(self, key: Key) -> str:
        """The row of a key."""
        return self._single + (self._sought(marks(key)) if has_raw(key) else self._usual)

    def known(self, key: Key) -> str:
        """Whether there is one."""
        return self._known + (self._sought(marks(key)) if has_raw(key) else self._usual)

    def _sought(self, key: list[str]) -> str:
        return same_key(self.view.table, "r", key)


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
