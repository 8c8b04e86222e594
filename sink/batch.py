"""Changes collapsed to the last state of each key: what one transaction writes to the replica.

Only the outcome of whole groups becomes visible, so the states in between need not be written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

from shared.groups import Change
from shared.tables import Schema, Table

Key = Any
"""A key's value, or a tuple of values where the key has several columns."""

Image = Sequence[Any]
"""The values of a row, in the order of the table's columns."""


@dataclass(frozen=True, slots=True)
class _Exact:
    """A key that is not equal to one of another class: Python takes 1 and 1.0 for the same."""

    key: Key
    classes: tuple[type, ...]


@dataclass(slots=True)
class TableBatch:
    """A table's outcome: ``rows`` holds the last image of each key, None where the row is gone."""

    rows: dict[Key, Image | None] = field(default_factory=dict)

    def upserts(self) -> list[Image]:
        """The row images to insert or update."""
        return [row for row in self.rows.values() if row is not None]

    def deletes(self) -> list[Key]:
        """The keys whose rows are gone."""
        return [key.key if type(key) is _Exact else key for key, row in self.rows.items() if row is None]


class Batch:
    """Collects changes; knows how many there were and when the last one was committed."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._keys = {table.name: itemgetter(*table.key_places) for table in schema.tables}
        self._marks = {table.name: _exactly(table, self._keys[table.name]) for table in schema.tables}
        self.tables: dict[str, TableBatch] = {}
        self.changes: list[Change] = []
        self.time_ms = 0

    def __len__(self) -> int:
        return len(self.changes)

    def add(self, changes: Sequence[Change]) -> None:
        """Add changes that follow those added before."""
        tables, keys = self.tables, self._marks
        for change in changes:
            name = change.table
            batch = tables.get(name)
            if batch is None:
                batch = tables[name] = TableBatch()
            values = change.values
            key = keys[name](values)
            batch.rows[key] = values if change.op in "cu" else None
        self.changes += changes
        if changes:
            self.time_ms = max(self.time_ms, changes[-1].time_ms)

    def halves(self) -> tuple[Batch, Batch]:
        """The first and the second half of the changes, each with its own outcome."""
        middle = len(self.changes) // 2
        return collapse(self._schema, self.changes[:middle]), collapse(self._schema, self.changes[middle:])

    def in_order(self) -> Iterator[tuple[Change, Key]]:
        """Every change as it happened, with its key."""
        return ((change, self._keys[change.table](change.values)) for change in self.changes)


def _exactly(table: Table, key: Callable[[Any], Key]) -> Callable[[Any], Key]:
    """Only a column without affinity keeps both 1 and 1.0; a change from one to the other is a change of key."""
    if all(table.columns[place].affinity != "BLOB" for place in table.key_places):
        return key
    places = table.key_places

    def exact(values: Sequence[Any]) -> Key:
        return _Exact(key(values), tuple(type(values[place]) for place in places))

    return exact


def collapse(schema: Schema, changes: Iterable[Change]) -> Batch:
    """The outcome of some changes."""
    batch = Batch(schema)
    batch.add(list(changes))
    return batch
