"""A table read chunk by chunk in the order of its rowid or key, each chunk in one short transaction.

Rows are encoded slice by slice while they are read, so that a chunk ends where its bytes are enough and
large rows do not fill the memory, also where they follow many small ones.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from capture.sqlite.pieces import SLICE_BYTES, SLICE_ROWS, Pieces
from shared import wire
from shared.groups import Value
from shared.sqlite.connection import decoding, quote
from shared.sqlite.parameters import bindable, marks
from shared.sqlite.terms import key_collations
from shared.tables import ROWID, Table

CHUNK_BYTES = 8_000_000
_COUNTED = 300_000


@dataclass(frozen=True, slots=True)
class Chunk:
    """Encoded pieces of rows in the order of the table's columns; ``after`` is the cursor for the next chunk."""

    pieces: list[bytes]
    rows: int
    after: str
    done: bool


class TableReader:
    """Reads one table; cursors are the hex of the MessagePack of the last row's rowid or key."""

    def __init__(self, table: Table) -> None:
        self._table = table
        by_rowid = bool(table.rowid_name)
        order = [table.rowid_name] if by_rowid else _key_terms(table)
        columns = [table.rowid_name if c.name == ROWID else quote(c.name) for c in table.columns]
        self._places = self._cursor_places(by_rowid=by_rowid)
        self._extra = not self._places
        if self._extra:
            columns.append(table.rowid_name)
        self._order = order
        self._select = f"SELECT {', '.join(columns)} FROM {quote(table.name)}"  # noqa: S608
        self._take = 1  # rows of the next slice: going by the size of those before it

    def _cursor_places(self, *, by_rowid: bool) -> tuple[int, ...]:
        """Where the cursor's values stand in a row image; empty where the rowid must be read besides."""
        if not by_rowid:
            return self._table.key_places
        names = self._table.names
        return tuple(names.index(name) for name in (ROWID, self._table.identity) if name in names)[:1]

    def read(self, db: sqlite3.Connection, after: str, limit: int) -> Chunk:
        """The rows behind that cursor, at most ``limit``; runs in the caller's transaction."""
        return decoding(db, lambda: self._read(db, after, limit))

    def _read(self, db: sqlite3.Connection, after: str, limit: int) -> Chunk:
        cursor: list[Value] = wire.decode_any(bytes.fromhex(after)) if after else []
        found = db.execute(self._statement(cursor), (*bindable(db, cursor), limit))
        pieces = Pieces(self._table.name)
        rows = size = 0
        last: Sequence[Any] = ()
        try:
            while size < CHUNK_BYTES and (read := found.fetchmany(self._take)):
                last = read[-1]
                rows += len(read)
                taken = pieces.add([row[:-1] for row in read] if self._extra else read)
                self._take = max(1, min(SLICE_ROWS, SLICE_BYTES * len(read) // max(taken, 1)))
                size += taken
            done = size < CHUNK_BYTES and rows < limit
        finally:
            found.close()
        return Chunk(pieces.finish(), rows, self._cursor(last) if rows else after, done)

    def _statement(self, cursor: Sequence[Value]) -> str:
        order = ", ".join(self._order)
        terms = ", ".join(marks(cursor))
        behind = f" WHERE {order} > {terms}" if len(cursor) == 1 else f" WHERE ({order}) > ({terms})"
        return f"{self._select}{behind if cursor else ''} ORDER BY {order} LIMIT ?{len(cursor) + 1}"

    def _cursor(self, last: Sequence[Any]) -> str:
        key = [last[place] for place in self._places] if self._places else [last[-1]]
        return wire.encode(key).hex()


def _key_terms(table: Table) -> list[str]:
    """The key's columns, compared as the key's index compares them."""
    own = {column.name: column.collation for column in table.columns}
    kept = key_collations(table)
    collate = {name: "" if kept.get(name, own[name]) == own[name] else f" COLLATE {kept[name]}" for name in table.key}
    return [quote(name) + collate[name] for name in table.key]


def estimate_rows(db: sqlite3.Connection, table: Table) -> int:
    """About how many rows there are: exact for tables that are quickly counted, the rowids' range beyond that."""
    few = f"SELECT count(*) FROM (SELECT 1 FROM {quote(table.name)} LIMIT {_COUNTED})"  # noqa: S608
    count = int(db.execute(few).fetchone()[0])
    if count < _COUNTED or not table.rowid_name:
        return count
    span = f"SELECT max({table.rowid_name}) - min({table.rowid_name}) + 1 FROM {quote(table.name)}"  # noqa: S608
    return int(db.execute(span).fetchone()[0])
