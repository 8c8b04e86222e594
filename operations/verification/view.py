"""A table seen from both sides: its columns, codecs, and whether the two sides page it in the same order.

*Ranged*: the key is made of integers or of texts that both sides order by their bytes, so a chunk is
the same key range on both.  Otherwise SQLite's rows are looked up in PostgreSQL by their keys, and
PostgreSQL's keys in SQLite.  This choice is about speed alone: ranges that follow one another cover
every key under any order, and a row that was not found where it was sought is sought by its key.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import psycopg

from operations.verification.comparing import Key
from operations.verification.findings import Foreign
from shared.columns import Codec, Unfit, codec_for
from shared.columns.codec import same
from shared.errors import SchemaChanged
from shared.postgres.catalog import read_columns
from shared.sqlite.terms import key_collations
from shared.tables import Table

_INTEGERS = {"smallint", "integer", "bigint"}
_BY_BYTES = """
SELECT a.attname
  FROM pg_attribute AS a
  JOIN pg_collation AS c ON c.oid = a.attcollation
  JOIN pg_database AS d ON d.datname = current_database()
 WHERE a.attrelid = to_regclass(%s) AND a.atttypid IN ('text'::regtype, 'varchar'::regtype)
   AND pg_encoding_to_char(d.encoding) = 'UTF8'
   AND (c.collname IN ('C', 'POSIX') OR c.collname = 'default' AND d.datcollate IN ('C', 'POSIX'))
"""

_ROUNDING = ("timestamp", "time", "date", "numeric", "real", "text", "character varying", "json")
"""Types with more values than SQLite's spelling of them: two of theirs may become one on the way back."""

_UNREADABLE = (Unfit, ValueError, ArithmeticError, TypeError, AttributeError, msgspec.MsgspecError)
"""What a codec may raise for a value that it never wrote."""


@dataclass(frozen=True, slots=True)
class View:
    """A table with one codec a column; ``kinds`` are the key's classes where it is ranged, else empty."""

    table: Table
    types: tuple[str, ...]
    codecs: tuple[Codec, ...]
    kinds: tuple[type, ...]

    @property
    def ranged(self) -> bool:
        """Whether both sides page in the same order."""
        return bool(self.kinds)

    @property
    def plain(self) -> bool:
        """Whether PostgreSQL's values are SQLite's as they are."""
        return all(codec.plain for codec in self.codecs)

    @property
    def key_codecs(self) -> tuple[Codec, ...]:
        """The key's codecs."""
        return tuple(self.codecs[place] for place in self.table.key_places)

    @property
    def key_types(self) -> tuple[str, ...]:
        """The key's types, as in a cast."""
        return tuple(self.types[place] for place in self.table.key_places)

    def columns_from_replica(self, rows: Sequence[Sequence[Any]]) -> list[Sequence[Any]]:
        """PostgreSQL's rows as columns of SQLite values."""
        columns = zip(*rows, strict=True) if rows else [()] * len(self.codecs)
        return list(map(_to_sqlite_column, self.codecs, self.types, columns))

    def keys_from_replica(self, keys: Sequence[Sequence[Any]]) -> list[Key]:
        """PostgreSQL's keys in SQLite values."""
        columns = zip(*keys, strict=True) if keys else [()] * len(self.key_codecs)
        return list(zip(*map(_to_sqlite_column, self.key_codecs, self.key_types, columns), strict=True))

    def keys_to_replica(self, keys: Sequence[Key]) -> list[Sequence[Any]]:
        """The keys as columns of parameters, without those that the replica cannot hold."""
        if not keys:
            return [[] for _ in self.table.key]
        try:
            columns = zip(self.key_codecs, zip(*keys, strict=True), strict=True)
            return [list(codec.to_postgres_column(values)) for codec, values in columns]
        except Unfit:
            fit = [found for key in keys if (found := self.key_to_replica(key)) is not None]
            return [[key[place] for key in fit] for place in range(len(self.table.key))]

    def key_to_replica(self, key: Sequence[Any]) -> tuple[Any, ...] | None:
        """A key as parameters, None where the replica cannot hold it."""
        try:
            return tuple(codec.to_postgres(value) for codec, value in zip(self.key_codecs, key, strict=True))
        except Unfit:
            return None


def make_view(db: psycopg.Connection[Any], table: Table, *, utf8: bool) -> View:
    """The view of a table; ``utf8`` says that SQLite keeps texts as UTF-8.  SchemaChanged where columns are missing."""
    found = read_columns(db, "", table.name)
    missing = [name for name in table.names if name not in found]
    if missing:
        where = f"table {table.name}: {', '.join(missing)}"
        what = "the target table lacks columns" if found else "the target table is gone"
        raise SchemaChanged(what, where=where, remedy="Restore it, or copy again")
    types = {name: found[name].type for name in table.names}
    codecs = {column.name: codec_for(column, types[column.name], found[column.name].kind) for column in table.columns}
    by_bytes = _ordered_by_bytes(db, table) if utf8 else set()
    return View(table, tuple(types.values()), tuple(codecs.values()), _kinds(table, codecs, types, by_bytes))


def _kinds(table: Table, codecs: Mapping[str, Codec], types: Mapping[str, str], by_bytes: set[str]) -> tuple[type, ...]:
    collations = key_collations(table)
    kinds: list[type] = []
    for name in table.key:
        if not codecs[name].plain:
            return ()
        if types[name] in _INTEGERS:
            kinds.append(int)
        elif name in by_bytes and collations[name] == "BINARY":
            kinds.append(str)
        else:
            return ()
    return tuple(kinds)


def _ordered_by_bytes(db: psycopg.Connection[Any], table: Table) -> set[str]:
    quoted = '"' + table.name.replace('"', '""') + '"'
    return {name for (name,) in db.execute(_BY_BYTES, (quoted,))}


def _to_sqlite_column(codec: Codec, pg_type: str, values: Sequence[Any]) -> Sequence[Any]:
    """Values of PostgreSQL's as SQLite held them; Foreign where none can have become that value."""
    if codec.decode is same:
        return values
    rounding = pg_type.startswith(_ROUNDING)
    try:
        decode = codec.decode
        found = [None if value is None else decode(value) for value in values]
        if not rounding or list(codec.to_postgres_column(found)) == list(values):
            return found
    except _UNREADABLE:
        pass
    return [_to_sqlite(codec, value, rounding=rounding) for value in values]


def _to_sqlite(codec: Codec, value: Any, *, rounding: bool) -> Any:  # noqa: ANN401  (a value of the column's type)
    try:
        found = codec.to_sqlite(value)
        if not rounding or codec.to_postgres(found) == value:
            return found
    except _UNREADABLE:
        pass
    return value if isinstance(value, Foreign) else Foreign(str(value))
