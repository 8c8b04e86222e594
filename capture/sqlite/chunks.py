"""A table read chunk by chunk in the order of its rowid or key, each chunk in one short transaction.

Each read also takes the change log's highest seq, so the chunk has an exact place in the history:
behind all changes up to there.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from shared.groups import Value
from shared.sqlite.connection import fetch_rows, quote
from shared.tables import ROWID, Table



@dataclass(frozen=True, slots=True)
class Chunk:
    """Rows in the order of the table's columns; ``after`` is the cursor for the next chunk."""

    rows: list[tuple[Value, ...]]
    after: str
    done: bool


class TableReader:
    """Reads one table; ``cursor`` texts are hex of the MessagePack of the last row's rowid or key."""

    def __init__(self, table: Table) -> None:
        self._table = table
        by_rowid = bool(table.rowid_name)
        order = [table.rowid_name] if by_rowid else [quote(name) for name in table.key]
        columns = [table.rowid_name if c.name == ROWID else quote(c.name) for c in table.columns]
        self._places = self._cursor_places(by_rowid=by_rowid)
        extra = [] if self._places else [table.rowid_name]
        self._extra = len(extra)
        select = f"SELECT {', '.join(columns + extra)} FROM {quote(table.name)}"  # noqa: S608
        tail = f" ORDER BY {', '.join(order)} LIMIT ?"
        marks = ", ".join("?" * len(order))
        self._first = select + tail
        self._next = f"{select} WHERE ({', '.join(order)}) > ({marks}){tail}"
        if len(order) == 1:
            self._next = f"{select} WHERE {order[0]} > ?{tail}"

    def _cursor_places(self, *, by_rowid: bool) -> tuple[int, ...]:
        """Where the cursor's values stand in a row image; empty where the rowid must be read besides."""
        if not by_rowid:
            return self._table.key_places
        for name in (ROWID, self._table.identity):
            if name in self._table.names:
                return (self._table.names.index(name),)
        return ()

    def read(self, db: sqlite3.Connection, after: str, limit: int) -> Chunk:
        """The rows behind that cursor, at most ``limit``; runs in the caller's transaction."""
        if after:
            cursor = msgspec.msgpack.decode(bytes.fromhex(after))
            rows = fetch_rows(db, self._next, (*cursor, limit))
        else:
            rows = fetch_rows(db, self._first, (limit,))
        if not rows:
            return Chunk([], after, done=True)
        last: Sequence[Any] = rows[-1]
        key = [last[place] for place in self._places] if self._places else [last[-1]]
        if self._extra:
            rows = [row[:-1] for row in rows]
        return Chunk(rows, msgspec.msgpack.encode(key).hex(), done=len(rows) < limit)


def estimate_rows(db: sqlite3.Connection, table: Table) -> int:
    """About how many rows there are: exact where counting is cheap, from the rowids' range elsewhere."""
    if table.rowid_name:
        span = f"SELECT max({table.rowid_name}) - min({table.rowid_name}) + 1 FROM {quote(table.name)}"  # noqa: S608
        return int(db.execute(span).fetchone()[0] or 0)
    return int(db.execute(f"SELECT count(*) FROM {quote(table.name)}").fetchone()[0])  # noqa: S608
