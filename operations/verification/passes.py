"""A table compared from its beginning to its end, chunk by chunk, while both sides go on changing.

A ranged table: SQLite's chunk and PostgreSQL's rows of the same key range, open at both ends of the
table, so rows that only PostgreSQL has are found as well.  Other tables: SQLite's rows looked up in
PostgreSQL by their keys, then PostgreSQL's keys in SQLite.  PostgreSQL works on one chunk while the
chunk behind it is read from SQLite and the one before it is compared.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from msgspec import Struct

from operations.verification.comparing import Key, by_key, differing_keys, of_kinds, same
from operations.verification.replica import Replica
from operations.verification.source import Slice, Source
from operations.verification.view import View

_SPARE = 1_000
"""So many rows more than SQLite's chunk may PostgreSQL's have; what is behind them comes with the next."""

_LOOKUPS = 2_000
"""Keys sought in SQLite in one read: some milliseconds."""

Rows = list[tuple[Any, ...]]


class Cursor(Struct):
    """How far a table has come; ``back`` is the second way, from PostgreSQL's keys to SQLite's rows."""

    after: tuple[Any, ...] = ()
    by_keys: bool = False
    back: bool = False
    rows: int = 0
    done: bool = False


class Step(Struct):
    """What a chunk showed: so many rows of SQLite's were compared, and these keys must be looked at again."""

    rows: int
    doubtful: list[Key]


class TablePass:
    """Compares one table; ``cursor`` says how far it has come whenever ``steps`` has given a step."""

    def __init__(self, source: Source, replica: Replica, view: View, cursor: Cursor, limit: int) -> None:
        self._source = source
        self._replica = replica
        self._view = view
        self._places = view.table.key_places
        self._limit = limit
        self.cursor = cursor

    def steps(self) -> Generator[Step, None, None]:
        """Go on from the cursor to the table's end.  Close it where it is left earlier: a thread works for it."""
        self._replica.begin()
        with ThreadPoolExecutor(1, thread_name_prefix="verify") as pool:
            try:
                if self._view.ranged and not self.cursor.by_keys:
                    yield from self._ranges(pool)
                if not self.cursor.done:
                    yield from self._forth(pool)
                    yield from self._back()
            except BaseException:
                self._replica.give_up()
                raise

    def _read(self, after: Key) -> Slice:
        return self._source.read_slice(self._view, after, self._limit)

    def _ranges(self, pool: ThreadPoolExecutor) -> Iterator[Step]:
        mine: Slice | None = self._read(self.cursor.after)
        sent = self._send_range(pool, mine) if mine else None
        while mine and sent:
            following = None if mine.done else self._read(mine.end)
            rows = sent.result()
            if len(rows) == self._room(mine):
                mine, following = self._cut(mine, rows), None
            if not self._orderly(mine):
                self.cursor = Cursor(by_keys=True)
                return
            if following is None and not mine.done:
                following = self._read(mine.end)
            sent = self._send_range(pool, following) if following else None
            yield self._step(mine, self._compare(mine.rows, rows))
            mine = following
        self.cursor.done = True

    def _room(self, mine: Slice) -> int:
        return len(mine.rows) + _SPARE

    def _send_range(self, pool: ThreadPoolExecutor, mine: Slice) -> Future[Rows]:
        upto = () if mine.done else mine.end
        return pool.submit(self._replica.read_range, self._view, mine.high, mine.after, upto, self._room(mine))

    def _orderly(self, mine: Slice) -> bool:
        kinds = self._view.kinds
        end_is_right = not mine.end or of_kinds([mine.end], range(len(kinds)), kinds)
        return end_is_right and of_kinds(mine.rows, self._places, kinds)

    def _cut(self, mine: Slice, rows: Rows) -> Slice:
        """PostgreSQL has many more rows in this range: end the chunk at the last one that was read."""
        last = self._view.keys_from_replica([[rows[-1][place] for place in self._places]])[0]
        shorter = Slice(mine.rows, mine.after, last, mine.high, done=False)
        if not self._orderly(shorter):
            return shorter
        rows = [row for row in mine.rows if tuple(row[place] for place in self._places) <= last]
        return Slice(rows, mine.after, last, mine.high, done=False)

    def _compare(self, mine: Rows, rows: Rows) -> list[Key]:
        if self._view.plain and same(mine, rows):
            return []
        columns = self._view.columns_from_replica(rows)
        if len(rows) == len(mine) and same(list(zip(*mine, strict=True)), columns):
            return []
        theirs = list(zip(*columns, strict=True))
        return differing_keys(by_key(mine, self._places), by_key(theirs, self._places))

    def _step(self, mine: Slice, doubtful: list[Key]) -> Step:
        self.cursor.after = mine.end
        self.cursor.rows += len(mine.rows)
        return Step(len(mine.rows), doubtful)

    def _forth(self, pool: ThreadPoolExecutor) -> Iterator[Step]:
        mine: Slice | None = None if self.cursor.back else self._read(self.cursor.after)
        while mine:
            keys = by_key(mine.rows, self._places)
            sent = pool.submit(self._replica.read_rows, self._view, mine.high, list(keys))
            following = None if mine.done else self._read(mine.end)
            theirs, _ = sent.result()
            yield self._step(mine, differing_keys(keys, theirs))
            mine = following
        if not self.cursor.back:
            self.cursor.back, self.cursor.after = True, ()

    def _back(self) -> Iterator[Step]:
        """Every key of PostgreSQL's must be there in SQLite; whether the rows are equal was seen on the way forth."""
        while not self.cursor.done:
            found = self._replica.read_keys(self._view, self.cursor.after, _LOOKUPS)
            keys = self._view.keys_from_replica(found)
            there = self._source.known_keys(self._view, keys)
            self.cursor.done = len(found) < _LOOKUPS
            if found:
                self.cursor.after = tuple(found[-1])
            yield Step(0, [key for key in keys if key not in there])
