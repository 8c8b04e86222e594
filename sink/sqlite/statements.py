"""The SQL that writes rows to SQLite, made once a table; every identifier is quoted.

A text that is not UTF-8 cannot be bound as one: its bytes are bound, and the statement casts them.  So
there is a statement for each set of places where such texts stand, nearly always the empty one.
"""

# ruff: noqa: S608  (statements are put together from quoted identifiers)

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from shared.groups import RawText
from shared.sqlite.connection import quote
from shared.sqlite.terms import is_rowid_key, key_collations, lax_key, same_key
from shared.tables import ROWID, Table

Values = tuple[Any, ...]


class Statement(NamedTuple):
    """SQL, and the sets of values to run it with."""

    sql: str
    values: list[Values]


class Statements:
    """One table's statements.

    ``OR ABORT`` overrules an ON CONFLICT clause of the table's own, which would remove rows without a word.
    An upsert keeps the row, and with it its hidden rowid.  ``lax`` says that rows with different keys may be one to
    SQLite (NOCASE, or 1 and 1.0): an upsert leaves a row whose key is another, and changes one row less.
    """

    def __init__(self, table: Table) -> None:
        self.table = table
        self._places = tuple(place for place, column in enumerate(table.columns) if not column.generated)
        self._names = [_name(table, table.columns[place].name) for place in self._places]
        self.lax = bool(_lax_keys(table))
        self._then = _on_conflict(table, self._names)

    def upserts(self, images: Iterable[Sequence[Any]]) -> Iterator[Statement]:
        """Insert these rows, or update those that are there."""
        return self._inserts(images, self._then)

    def inserts(self, images: Iterable[Sequence[Any]]) -> Iterator[Statement]:
        """Insert these rows; none of their keys may be there."""
        return self._inserts(images, "")

    def deletes(self, keys: Iterable[Values]) -> Iterator[Statement]:
        """Delete the rows with exactly those keys, if they are there."""
        for raw, values in _by_raw(keys):
            marks = [_mark(place + 1, place in raw) for place in range(len(self.table.key))]
            sql = f"DELETE FROM main.{quote(self.table.name)} AS r WHERE {same_key(self.table, 'r', marks)}"
            yield Statement(sql, values)

    def same_to_sqlite(self, key: Values) -> Iterator[Statement]:
        """Reads the key, as classes and bytes, of a row that SQLite takes to have that key."""
        terms = (f"typeof(r.{quote(name)}), CAST(r.{quote(name)} AS BLOB)" for name in self.table.key)
        for raw, values in _by_raw([key] if self.lax else []):
            marks = [_mark(place + 1, place in raw) for place in range(len(self.table.key))]
            same = lax_key(self.table, "r", marks)
            yield Statement(f"SELECT {', '.join(terms)} FROM main.{quote(self.table.name)} AS r WHERE {same}", values)

    def key(self, image: Sequence[Any]) -> Values:
        """The key of a row image."""
        return tuple(image[place] for place in self.table.key_places)

    def _inserts(self, images: Iterable[Sequence[Any]], then: str) -> Iterator[Statement]:
        places = self._places
        into = f"INSERT OR ABORT INTO main.{quote(self.table.name)} AS r ({', '.join(self._names)})"
        for raw, values in _by_raw(tuple(image[place] for place in places) for image in images):
            marks = (_mark(place + 1, place in raw) for place in range(len(places)))
            yield Statement(f"{into} VALUES ({', '.join(marks)}){then}", values)


def _by_raw(rows: Iterable[Values]) -> Iterator[tuple[frozenset[int], list[Values]]]:
    """Rows in their order, by the places of texts that are not UTF-8; those texts as bytes."""
    for raw, group in groupby(rows, _raw_places):
        values = list(group)
        yield raw, [_bytes_of(row) for row in values] if raw else values


_NONE: frozenset[int] = frozenset()


def _raw_places(row: Values) -> frozenset[int]:
    if RawText not in map(type, row):
        return _NONE
    return frozenset(place for place, value in enumerate(row) if isinstance(value, RawText))


def _bytes_of(row: Values) -> Values:
    return tuple(value.raw if isinstance(value, RawText) else value for value in row)


def _mark(number: int, raw: bool) -> str:  # noqa: FBT001
    return f"CAST(?{number} AS TEXT)" if raw else f"?{number}"


def _name(table: Table, name: str) -> str:
    return quote(table.rowid_name if name == ROWID else name)


def _on_conflict(table: Table, names: Sequence[str]) -> str:
    """What an upsert does to the row that is there: nothing where its key is the same to SQLite, but another."""
    lax = _lax_keys(table)
    kept = {_name(table, name) for name in table.key if name not in lax}
    changed = [name for name in names if name not in kept]
    sets = ", ".join(f"{name} = excluded.{name}" for name in changed)
    given = [f"excluded.{quote(name)}" for name in table.key]
    where = f" WHERE {same_key(table, 'r', given)}" if lax else ""
    return f" ON CONFLICT ({_target(table)}) DO " + (f"UPDATE SET {sets}{where}" if sets else "NOTHING")


def _target(table: Table) -> str:
    """The key's index is found by the collations that it compares by; the rowid has neither."""
    if is_rowid_key(table):
        return _name(table, table.key[0])
    collations = key_collations(table)
    return ", ".join(f"{quote(name)} COLLATE {quote(collations[name])}" for name in table.key)


def _lax_keys(table: Table) -> set[str]:
    """The key's columns in which what is equal may differ: 'a' and 'A' under NOCASE, 1 and 1.0 without a type."""
    if is_rowid_key(table):
        return set()
    collations = key_collations(table)
    affinity = {column.name: column.affinity for column in table.columns if not column.generated}
    return {name for name in table.key if collations[name] != "BINARY" or affinity.get(name, "TEXT") == "BLOB"}
