"""How one source table's rows become a target table's rows: columns, codecs, statements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from shared.columns import Codec, Unfit, codec_for
from shared.errors import Hold, SchemaChanged
from shared.postgres.catalog import read_columns
from shared.tables import Table
from sink.postgres.statements import Statements, compose


class Misfit(Exception):
    """A value that its column cannot take; ``values`` are all that were to be written to that column.

    The column may be widened to take them, where it is ours; otherwise ``hold`` is the error.
    """

    def __init__(self, plan: TablePlan, place: int, key: Sequence[Any], unfit: Unfit, values: Sequence[Any]) -> None:
        self.plan = plan
        self.place = place
        self.unfit = unfit
        self.values = values
        self.hold = plan.unfit(place, key, unfit)
        super().__init__(str(self.hold))


@dataclass(frozen=True, slots=True)
class TablePlan:
    """A table's way into PostgreSQL; ``places`` are the columns of a row image that have a column there."""

    table: Table
    places: tuple[int, ...]
    types: tuple[str, ...]
    codecs: tuple[Codec, ...]
    key_codecs: tuple[Codec, ...]
    statements: Statements
    ranged: bool

    @property
    def oids(self) -> list[int]:
        """The types of the columns written, for a binary COPY."""
        return [codec.oid for codec in self.codecs]

    def rows(self, images: Sequence[Sequence[Any]]) -> list[tuple[Any, ...]]:
        """Row images as rows to write; raises Misfit naming the value that does not fit."""
        return list(self.rows_from(list(zip(*images, strict=True))))

    def rows_from(self, columns: Sequence[Sequence[Any]], *, trusting: bool = False) -> zip[tuple[Any, ...]]:
        """The same from columns: what a snapshot piece carries.

        ``trusting`` leaves to psycopg what psycopg checks itself: for rows that go by COPY, where a TypeError
        means that they must be looked at one by one.
        """
        out = []
        for place, codec in zip(self.places, self.codecs, strict=True):
            try:
                convert = codec.to_copy if trusting else codec.to_postgres_column
                out.append(convert(columns[place]))
            except Unfit as unfit:
                key = tuple(columns[k][unfit.index] for k in self.table.key_places)
                raise Misfit(self, place, key, unfit, columns[place]) from unfit
        return zip(*out, strict=True)

    def keys(self, keys: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Keys as parameters; one that does not fit its column is left out, since no row there has it."""
        try:
            return self._keys(keys)
        except Unfit:
            return [row for key in keys for row in self._key_if_fit(key)]

    def _keys(self, keys: Sequence[Any]) -> list[tuple[Any, ...]]:
        if len(self.key_codecs) == 1:
            return [(value,) for value in self.key_codecs[0].to_postgres_column(keys)]
        columns = zip(*keys, strict=True)
        parts = [codec.to_postgres_column(c) for codec, c in zip(self.key_codecs, columns, strict=True)]
        return list(zip(*parts, strict=True))

    def _key_if_fit(self, key: Any) -> list[tuple[Any, ...]]:  # noqa: ANN401  (a key is any value)
        try:
            return self._keys([key])
        except Unfit:
            return []

    def unfit(self, place: int, key: Sequence[Any], unfit: Unfit) -> Hold:
        """The error for a value that a column of the replica cannot take."""
        column = self.table.columns[place].name
        where = f"table {self.table.name}, key {show_key(key)}, column {column}"
        remedy = (
            f'Change the value at the source, or give the column a wider type (types."{self.table.name}.{column}")'
            " and copy again; the stream waits at this row and nothing is lost"
        )
        return Hold(f"a value does not fit its column: {unfit.reason}", where=where, remedy=remedy)


def show_key(key: Sequence[Any]) -> str:
    """A key for messages, shortened."""
    shown = ("NULL" if part is None else repr(part) for part in key)
    return ", ".join(part if len(part) < 60 else part[:57] + "..." for part in shown)  # noqa: PLR2004


def make_plan(db: psycopg.Connection[Any], table: Table, number: int) -> TablePlan:
    """The plan for a table as it stands in the target's current schema."""
    found = read_columns(db, "", table.name)
    if not found:
        remedy = "It was dropped or renamed: restore it, or copy again"
        raise SchemaChanged("a target table is gone", where=f"table {table.name}", remedy=remedy)
    places = tuple(
        place for place, column in enumerate(table.columns) if column.name in found and not found[column.name].generated
    )
    names = [table.columns[place].name for place in places]
    missing = [c.name for c in table.columns if c.name not in found]
    if missing:
        remedy = "Add the columns, or copy again into a new table"
        raise SchemaChanged(
            "the target table lacks columns", where=f"table {table.name}: {', '.join(missing)}", remedy=remedy
        )
    codecs = {
        name: codec_for(table.columns[place], found[name].type, found[name].kind)
        for name, place in zip(names, places, strict=True)
    }
    ranged = len(table.key) == 1 and (table.identity == table.key[0] or table.key_kind == "rowid")
    types = [found[name].type for name in names]
    return TablePlan(
        table=table,
        places=places,
        types=tuple(types),
        codecs=tuple(codecs[name] for name in names),
        key_codecs=tuple(codecs[name] for name in table.key),
        statements=compose(table.name, names, types, table.key, ranged=ranged, number=number),
        ranged=ranged,
    )
