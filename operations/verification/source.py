"""The SQLite side: chunks, single rows and changes, each in one short read with its place in the history."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from operations.verification.comparing import Key, Row, by_key
from operations.verification.findings import Foreign
from operations.verification.pages import Pages
from operations.verification.view import View
from shared import wire
from shared.errors import SchemaChanged, SourceRestored, Stop
from shared.groups import Position
from shared.sqlite.catalog import schema_version
from shared.sqlite.changelog import high, read_changes
from shared.sqlite.connection import (
    FileIdentity,
    connect,
    decoding,
    fetch_rows,
    reading,
    same_file,
    translated,
)
from shared.sqlite.installation import check_installed
from shared.sqlite.parameters import bindable
from shared.sqlite.state import read_state
from shared.tables import Schema

CHUNK_BYTES = 16_000_000
"""About how much a chunk may hold, so that large values do not fill the memory."""

_REMEDY = "Let the migration end, let capture and sink catch up, and verify again"
_PAGE = 5_000
_BATCH = 1_000


class FileLedger(msgspec.Struct):
    """What the file notes of itself as a replica; see shared.sqlite.state."""

    lease: int = 0
    number: int = 0
    offset: int = -1
    seq: int = 0
    epoch: int = 0

    @property
    def position(self) -> Position:
        """The last group applied."""
        return Position(self.lease, self.number, self.offset)


@dataclass(frozen=True, slots=True)
class Slice:
    """Rows behind the cursor ``after``; ``end`` is the cursor behind them, ``high`` the seq at which they were read."""

    rows: list[tuple[Any, ...]]
    after: Key
    end: Key
    high: int
    done: bool


class Source:
    """A connection that only reads; one thread at a time.

    ``version`` is SQLite's schema version as last seen: where it moved, a VACUUM may have given other
    rowids to the rows of tables without an INTEGER PRIMARY KEY.
    """

    def __init__(self, path: Path, schema: Schema, busy_seconds: float) -> None:
        self._path = path
        self._schema = schema
        self._identity = FileIdentity.of(path)
        self._db = connect(path, readonly=True, busy_seconds=busy_seconds)
        self._pages: dict[str, Pages] = {}
        with self.translated(), reading(self._db):
            state = read_state(self._db)
            self.incarnation, self.role, self._epoch = state.get("incarnation", ""), *_standing(state)
            self.utf8 = self._db.execute("PRAGMA encoding").fetchone()[0] == "UTF-8"
            self.version = schema_version(self._db)
            if self.incarnation:
                self._check_schema()

    def translated(self) -> AbstractContextManager[None]:
        """sqlite3's errors in our words."""
        return translated(self._path)

    def _of(self, view: View) -> Pages:
        known = self._pages.get(view.table.name)
        if known is None or known.view is not view:
            known = self._pages[view.table.name] = Pages(view)
        return known

    def read_slice(self, view: View, after: Key, limit: int) -> Slice:
        """The next rows in the order in which the table is paged; ``after`` is () at its beginning."""
        pages = self._of(view)
        with self.translated(), reading(self._db):
            highest = self._check()
            sql = pages.following(after) if after else pages.first
            values = (*bindable(self._db, after), limit)
            rows, whole = decoding(self._db, lambda: _fetch(self._db.execute(sql, values)))
        done = whole and len(rows) < limit
        end = tuple(rows[-1][place] for place in pages.cursor) if rows else after
        if pages.hidden:
            rows = [row[:-1] for row in rows]
        return Slice(rows, after, end, highest, done)

    def read_rows(self, view: View, keys: Sequence[Key]) -> tuple[dict[Key, Row], int, int]:
        """The rows of the first of those keys, of how many keys, and the seq at which they were read.

        Rows are read until they hold ``CHUNK_BYTES``, those of one key at the least.
        """
        with self.translated(), reading(self._db):
            highest = self._check()
            return *self.rows_of(view, keys), highest

    def read_applied(self, view: View, keys: Sequence[Key]) -> tuple[dict[Key, Row], int, FileLedger]:
        """The same where the file is the replica: with its ledger."""
        with self.translated(), reading(self._db):
            self._check()
            return *self.rows_of(view, keys), self._ledger()

    def rows_of(self, view: View, keys: Sequence[Key]) -> tuple[dict[Key, Row], int]:
        """The same inside a read of the caller's."""
        pages = self._of(view)
        rows: list[tuple[Any, ...]] = []
        size = count = 0
        for key in keys:
            found = self._look_up(pages, key)
            rows += found
            count += 1
            size += len(wire.encode(found))
            if size > CHUNK_BYTES:
                break
        return by_key(rows, view.table.key_places), count

    @contextmanager
    def snapshot(self) -> Iterator[FileLedger]:
        """One consistent view of everything, with the ledger in it."""
        with self.translated(), reading(self._db):
            self._check()
            yield self._ledger()

    def ledger(self) -> FileLedger:
        """Where the file stands as a replica."""
        with self.snapshot() as ledger:
            return ledger

    def _ledger(self) -> FileLedger:
        return msgspec.json.decode(read_state(self._db).get("ledger", "{}"), type=FileLedger)

    def known_keys(self, view: View, keys: Sequence[Key]) -> set[Key]:
        """Those of the keys that have a row."""
        pages = self._of(view)
        with self.translated(), reading(self._db):
            self._check()
            return {key for key in keys if Foreign not in map(type, key) and self._knows(pages, key)}

    def _knows(self, pages: Pages, key: Key) -> bool:
        return self._db.execute(pages.known(key), bindable(self._db, key)).fetchone() is not None

    def _look_up(self, pages: Pages, key: Key) -> list[tuple[Any, ...]]:
        return [] if Foreign in map(type, key) else fetch_rows(self._db, pages.single(key), bindable(self._db, key))

    def read_changes(self, after: int, upto: int, names: frozenset[str]) -> list[Any] | None:
        """The changes of those tables with after < seq <= upto; None where some are pruned already."""
        found: list[Any] = []
        with self.translated(), reading(self._db):
            self._check()
            lowest = self._db.execute("SELECT min(seq) FROM _switchback_log").fetchone()[0]
            if lowest is None or lowest > after + 1:
                return None
            while after < upto:
                page = read_changes(self._db, self._schema, after, upto, _PAGE)
                found += [change for change in page if change.table in names]
                after = page[-1].seq
        return found

    def high(self) -> int:
        """The last change's seq."""
        with self.translated(), reading(self._db):
            return self._check()

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _check(self) -> int:
        """Called first in every read; returns the highest seq."""
        if not same_file(self._path, self._identity):
            raise SourceRestored("the source file was replaced by another one", where=str(self._path), remedy=_REMEDY)
        version = schema_version(self._db)
        if version != self.version:
            self._check_standing()
            self._check_schema()
            self.version = version
        return high(self._db)

    def _check_standing(self) -> None:
        """Fences that come and go are changes of the schema."""
        if _standing(read_state(self._db)) != (self.role, self._epoch):
            what = "primary and replica were swapped during the verification"
            raise Stop(what, where=str(self._path), remedy="Verify again")

    def _check_schema(self) -> None:
        wrong = check_installed(self._db, self._schema)
        if wrong:
            what = f"the source is no longer as it is captured: {'; '.join(wrong[:3])}"
            raise SchemaChanged(what, where=str(self._path), remedy=_REMEDY)


def _standing(state: Mapping[str, str]) -> tuple[str, str]:
    return state.get("role", "primary"), state.get("epoch", "0")


def _fetch(cursor: sqlite3.Cursor) -> tuple[list[tuple[Any, ...]], bool]:
    """Rows until they hold ``CHUNK_BYTES``, and whether that is all; looking at each row's size would be slow."""
    rows: list[tuple[Any, ...]] = []
    size, batch = 0, 1
    while found := cursor.fetchmany(batch):
        rows += found
        last = len(wire.encode(found))
        size += last
        if size > CHUNK_BYTES:
            cursor.close()
            return rows, False
        batch = max(1, min(_BATCH, batch * 4, CHUNK_BYTES * len(found) // last // 4))
    return rows, True
