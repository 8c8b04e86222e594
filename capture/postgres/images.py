"""From a row image of the change log, which is texts, to the values that SQLite held or would hold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import psycopg
from psycopg.pq import Format

from shared.columns import codec_for
from shared.errors import Hold, SchemaChanged
from shared.postgres.catalog import read_columns
from shared.tables import Table

Reader = Callable[[str], Any]
_REMEDY = "Write another value to PostgreSQL; the stream waits at this row and nothing is lost"


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
        self._readers = [
            _reader(db, found[column.name].oid, codec_for(column, found[column.name].type, found[column.name].kind))
            for column in table.columns
        ]

    def read(self, image: Sequence[str | None]) -> tuple[Any, ...]:
        """SQLite's values; Hold naming the value that SQLite cannot have."""
        try:
            return tuple(None if text is None else read(text) for read, text in zip(self._readers, image, strict=True))
        except (ValueError, ArithmeticError) as error:
            raise self._unfit(image) from error

    def _unfit(self, image: Sequence[str | None]) -> Hold:
        for column, read, text in zip(self._table.columns, self._readers, image, strict=True):
            try:
                if text is not None:
                    read(text)
            except (ValueError, ArithmeticError) as error:
                key = ", ".join(str(image[place])[:60] for place in self._table.key_places)
                where = f"table {self._table.name}, key {key}, column {column.name}"
                return Hold(f"SQLite cannot have a value as it is: {error}", where=where, remedy=_REMEDY)
        return Hold("SQLite cannot have a row as it is", where=f"table {self._table.name}", remedy=_REMEDY)


def _reader(db: psycopg.Connection[Any], oid: int, codec: Any) -> Reader:  # noqa: ANN401
    """A function from PostgreSQL's text to SQLite's value."""
    loader = db.adapters.get_loader(oid, Format.TEXT)
    if loader is None:
        return codec.to_sqlite  # type: ignore[no-any-return]
    load = loader(oid, db).load
    if codec.plain:
        return lambda text: load(text.encode())
    return lambda text: codec.to_sqlite(load(text.encode()))
