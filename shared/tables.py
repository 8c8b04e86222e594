"""The shape of a source table, as the capture reads it from SQLite and the sink gets it from the log.

All types are immutable and travel in MessagePack as they are (kind ``schema`` in the spine).
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Affinity = Literal["INTEGER", "REAL", "NUMERIC", "TEXT", "BLOB"]
KeyKind = Literal["primary", "unique", "rowid"]

ROWID = "_switchback_rowid"
"""The replica's name for the hidden rowid, where a table has no key of its own."""


class Census(Struct, frozen=True):
    """What a column really held when it was looked at (``rows`` values, NULLs among them)."""

    rows: int = 0
    nulls: int = 0
    integers: int = 0
    reals: int = 0
    texts: int = 0
    blobs: int = 0
    unstorable_texts: int = 0  # texts with NUL or with bytes that are not UTF-8
    min_integer: int | None = None
    max_integer: int | None = None
    max_length: int = 0  # of texts and blobs, in characters and bytes
    formats: tuple[str, ...] = ()  # value formats that every text fits, best first; see shared.columns


class Column(Struct, frozen=True):
    """A column; ``default`` is SQL text as SQLite keeps it, ``generated`` says what kind, if any."""

    name: str
    declared: str = ""
    affinity: Affinity = "BLOB"
    not_null: bool = False
    default: str | None = None
    generated: Literal["", "virtual", "stored"] = ""
    collation: str = "BINARY"
    census: Census = Census()


class IndexPart(Struct, frozen=True):
    """One column or one expression (SQL text) of an index."""

    column: str | None
    expression: str = ""
    descending: bool = False
    collation: str = "BINARY"


class Index(Struct, frozen=True):
    """An index; ``origin`` is SQLite's: c (CREATE INDEX), u (UNIQUE), pk (PRIMARY KEY)."""

    name: str
    parts: tuple[IndexPart, ...]
    unique: bool = False
    where: str = ""
    origin: Literal["c", "u", "pk"] = "c"


class ForeignKey(Struct, frozen=True):
    """A reference; ``parent_columns`` are filled in even where the source left them out."""

    columns: tuple[str, ...]
    parent: str
    parent_columns: tuple[str, ...]
    on_delete: str = "NO ACTION"
    on_update: str = "NO ACTION"
    deferred: bool = False


class Table(Struct, frozen=True):
    """A table; row images hold the values of ``columns`` in that order.

    ``key`` names the columns that identify a row.  With ``key_kind`` "rowid" the table has no key
    of its own and its first column is ``ROWID``, the hidden rowid.  ``identity`` is the
    INTEGER PRIMARY KEY column, ``rowid_name`` the word that reads the rowid ("" if there is none).
    """

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    key_kind: KeyKind = "primary"
    identity: str | None = None
    rowid_name: str = "rowid"
    strict: bool = False
    indexes: tuple[Index, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names, in the order of row images."""
        return tuple(column.name for column in self.columns)

    @property
    def key_places(self) -> tuple[int, ...]:
        """Where the key's columns stand in a row image."""
        names = self.names
        return tuple(names.index(name) for name in self.key)


class Schema(Struct, frozen=True):
    """All migrated tables, in the order in which they are to be copied (parents first)."""

    tables: tuple[Table, ...]

    def table(self, name: str) -> Table:
        """The table of that exact name; KeyError if there is none."""
        return self.by_name[name]

    @property
    def by_name(self) -> dict[str, Table]:
        """The tables by name."""
        return {table.name: table for table in self.tables}
