"""Writing a batch's outcome to SQLite, table by table, inside the caller's transaction.

A row that another one is in the way of waits: what follows in the group, or the next groups, may move that one
away.  While a row waits the transaction must not be committed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import apsw

from shared.tables import Schema
from sink.batch import Batch, Image, Key, TableBatch
from sink.replica import Unsettled
from sink.sqlite.errors import in_the_way, same_to_sqlite, translated
from sink.sqlite.statements import Statement, Statements, Values


class _OtherKey(Exception):
    """The row that was met has a key of its own, which only SQLite takes for the same."""


@dataclass(slots=True)
class _Waiting:
    """A table's rows that wait, by key, and what the first one met."""

    first: Unsettled
    rows: dict[Key, Image | None] = field(default_factory=dict)


class RowWriter:
    """Writes by statements that are known to compile: Stop, naming the table, where one does not."""

    def __init__(self, db: apsw.Connection, path: Path, schema: Schema) -> None:
        self._db = db
        self._path = path
        self._statements = {table.name: Statements(table) for table in schema.tables}
        self._waiting: dict[str, _Waiting] = {}
        self.fallbacks = {"batch": 0}
        for statements in self._statements.values():
            self._compile(statements)

    def _compile(self, statements: Statements) -> None:
        """An index may need a function or a collation that only the application registers."""
        table = statements.table
        image, key = (None,) * len(table.columns), (None,) * len(table.key)
        with translated(self._path, f"table {table.name}"):
            for sql, values in (*statements.upserts([image]), *statements.deletes([key])):
                self._db.execute(f"EXPLAIN {sql}", values[0]).fetchall()

    def begin(self) -> None:
        """Forget what waited in the transaction before."""
        self._waiting.clear()

    def write_batch(self, batch: Batch) -> None:
        """Write the outcome of a batch, as far as no row is in another's way."""
        for name, outcome in batch.tables.items():
            waiting = self._waiting.pop(name, None)
            if waiting:
                outcome = TableBatch({**waiting.rows, **outcome.rows})  # noqa: PLW2901  (the newer image of a key wins)
            with translated(self._path, f"table {name}"):
                self._write_table(self._statements[name], outcome)

    def check_settled(self) -> None:
        """Unsettled naming the first row that waits."""
        for trouble in self._waiting.values():
            raise trouble.first

    def _write_table(self, statements: Statements, outcome: TableBatch) -> None:
        try:
            with self._db:  # a savepoint
                self._run(statements.deletes(map(_values, outcome.deletes())))
                self._upsert(statements, outcome)
        except (apsw.ConstraintError, _OtherKey):
            self.fallbacks["batch"] += 1
            self._make_room(statements, outcome)

    def _upsert(self, statements: Statements, outcome: TableBatch) -> None:
        images, before = outcome.upserts(), self._db.total_changes()
        self._run(statements.upserts(images))
        if statements.lax and self._db.total_changes() - before != len(images):
            raise _OtherKey

    def _make_room(self, statements: Statements, outcome: TableBatch) -> None:
        """Rows that have swapped a unique value are in each other's way: all of them go before any comes."""
        images = outcome.upserts()
        self._run(statements.deletes([*map(_values, outcome.deletes()), *map(statements.key, images)]))
        for key, image in outcome.rows.items():
            if image is None:
                continue
            try:
                self._run(statements.inserts([image]))
            except apsw.ConstraintError as error:
                trouble = self._trouble(statements, image, error)
                self._waiting.setdefault(statements.table.name, _Waiting(trouble)).rows[key] = image

    def _trouble(self, statements: Statements, image: Image, error: apsw.ConstraintError) -> Unsettled:
        key, table = statements.key(image), statements.table.name
        for sql, values in statements.same_to_sqlite(key):
            for kinds_and_bytes in self._db.execute(sql, values[0]):
                return same_to_sqlite(self._path, table, key, kinds_and_bytes)
        return in_the_way(error, self._path, table, key)

    def _run(self, statements: Iterable[Statement]) -> None:
        for sql, values in statements:
            self._db.executemany(sql, values)


def _values(key: Key) -> Values:
    return key if isinstance(key, tuple) else (key,)
