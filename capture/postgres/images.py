"""From a row image of the change log, which is texts, to the values that SQLite held or would hold.

PostgreSQL writes more than SQLite can have: NaN, infinite dates, decimals of any length, and texts that a column of
a numeric affinity would make numbers of.  Such a value is refused by name; none is rounded or changed in silence.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import psycopg
from psycopg.pq import Format

from shared.columns import codec_for
from shared.columns.affinity import as_stored, is_numeric
from shared.columns.codec import Codec
from shared.columns.plain import TEXT
from shared.errors import Hold, SchemaChanged
from shared.postgres.catalog import read_columns
from shared.tables import Affinity, Table

Reader = Callable[[str], Any]
Image = Sequence[str | None]
_NUMERIC, _FLOATS = 1700, (700, 701)
_UNFIT = (ValueError, ArithmeticError, psycopg.DataError)
_REMEDY = (
    "Give the row another value in PostgreSQL, or delete it, and start capture again; it waits here and nothing is lost"
)
_KEY_REMEDY = _REMEDY.replace("another value", "another key")


class Images:
    """Reads one table's images."""

    def __init__(self, db: psycopg.Connection[Any], table: Table) -> None:
        self._table = table
        self.name = table.name
        found = read_columns(db, "", table.name)
        missing = [name for name in table.names if name not in found]
        if missing:
            where = f"table {table.name}: {', '.join(missing)}"
            raise SchemaChanged("PostgreSQL's table lacks columns", where=where, remedy="Add them, or copy again")
        self._readers = []
        for column in table.columns:
            there = found[column.name]
            codec = codec_for(column, there.type, there.kind)
            reader = _reader(db, there.oid, codec, column.affinity)
            self._readers.append(_only_as_written(reader, codec) if column.name in table.key else reader)

    def read(self, image: Image) -> tuple[Any, ...]:
        """SQLite's values; Hold naming the value that SQLite cannot have."""
        try:
            return tuple(None if text is None else read(text) for read, text in zip(self._readers, image, strict=True))
        except _UNFIT as error:
            raise self._unfit(image) from error

    def read_gone(self, image: Image) -> tuple[Any, ...]:
        """The same of a row that is no more: only its key must fit, other values that do not are left out."""
        try:
            return self.read(image)
        except Hold:
            key = [image[place] if place in self._table.key_places else None for place in range(len(image))]
            return self.read([text if self._fits(place, text) else key[place] for place, text in enumerate(image)])

    def can_be_in_sqlite(self, image: Image) -> bool:
        """Whether the row has a key that SQLite can have: one that has not never was there."""
        return all(self._fits(place, image[place]) for place in self._table.key_places)

    @property
    def key_places(self) -> tuple[int, ...]:
        """Where the key's columns stand in an image, counted from 0."""
        return self._table.key_places

    def _fits(self, place: int, text: str | None) -> bool:
        try:
            return text is None or self._readers[place](text) is not None
        except _UNFIT:
            return False

    def _unfit(self, image: Image) -> Hold:
        for column, read, text in zip(self._table.columns, self._readers, image, strict=True):
            try:
                if text is not None:
                    read(text)
            except _UNFIT as error:
                key = ", ".join(str(image[place])[:60] for place in self._table.key_places)
                where = f"table {self._table.name}, key {key}, column {column.name}"
                remedy = _KEY_REMEDY if column.name in self._table.key else _REMEDY
                return Hold(f"SQLite cannot have a value as it is: {_reason(error)}", where=where, remedy=remedy)
        return Hold("SQLite cannot have a row as it is", where=f"table {self._table.name}", remedy=_REMEDY)


def _reason(error: Exception) -> str:
    """Psycopg quotes the value."""
    return "a date or time outside the years 1 to 9999" if isinstance(error, psycopg.DataError) else str(error)


def _reader(db: psycopg.Connection[Any], oid: int, codec: Codec, affinity: Affinity) -> Reader:
    """A function from PostgreSQL's text to SQLite's value."""
    loader = db.adapters.get_loader(oid, Format.TEXT)
    check = _check(oid, codec, affinity)
    if loader is None:
        return codec.to_sqlite if check is None else lambda text: check(text, codec.to_sqlite(text))
    load = loader(oid, db).load
    if check:
        return lambda text: check(found := load(text.encode()), codec.to_sqlite(found))
    return (lambda text: load(text.encode())) if codec.plain else lambda text: codec.to_sqlite(load(text.encode()))


def _check(oid: int, codec: Codec, affinity: Affinity) -> Callable[[Any, Any], Any] | None:
    """What proves that a value is the same in SQLite, where the codec alone does not see to that."""
    if oid == _NUMERIC:
        return _check_digits
    if oid in _FLOATS:
        return _check_number
    if codec.accepts == (str,) and is_numeric(affinity):
        return lambda _loaded, value: _check_text(value, affinity)
    return None


def _check_digits(number: Decimal, value: float | str) -> float | str:
    if number.is_finite() and (not isinstance(value, float) or Decimal(repr(value)) == number):
        return value
    raise ValueError("a number with more digits than REAL keeps" if number.is_finite() else "a number that is none")


def _check_number(number: float, value: float) -> float:
    if math.isnan(number):
        raise ValueError("a number that is none (NaN)")
    return value


def _only_as_written(read: Reader, codec: Codec) -> Reader:
    """Of the texts that stand for one value, only the one that the sink would write: two keys never become one."""
    if codec.oid != TEXT or codec.accepts == (str,):
        return read

    def check(text: str) -> Any:  # noqa: ANN401
        value = read(text)
        if codec.to_postgres(value) == text:
            return value
        raise ValueError("a text that SQLite would keep as another one, which may be a key as well")

    return check


def _check_text(text: str, affinity: Affinity) -> str:
    if as_stored(text, affinity) is text:
        return text
    raise ValueError(f"a text that a column of {affinity} affinity makes a number of")
