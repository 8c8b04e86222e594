"""Writing a batch's outcome to SQLite, table by table, inside the caller's transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import apsw

from shared.tables import Schema
from sink.batch import Batch, TableBatch
from sink.sqlite.errors import translate, translated
from sink.sqlite.statements import Statement, Statements, Values

_SHOWN = 60  # characters of a key in a message


class RowWriter:
    """Writes by statements that are known to compile: Stop, naming the table, where one does not."""

    def __init__(self, db: apsw.Connection, path: Path, schema: Schema) -> None:
        self._db = db
        self._path = path
        self._statements = {table.name: Statements(table) for table in schema.tables}
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

    def write_batch(self, batch: Batch) -> None:
        """Write the outcome of a batch; Hold naming the first row that cannot be written."""
        for name, outcome in batch.tables.items():
            with translated(self._path, f"table {name}"):
                self._write_table(self._statements[name], outcome)

    def _write_table(self, statements: Statements, outcome: TableBatch) -> None:
        deletes = [key if isinstance(key, tuple) else (key,) for key in outcome.deletes()]
        upserts = outcome.upserts()
        try:
            with self._db:  # a savepoint
                self._run(statements.deletes(deletes))
                self._run(statements.upserts(upserts))
        except apsw.ConstraintError:
            self.fallbacks["batch"] += 1
            self._make_room(statements, deletes, upserts)

    def _make_room(self, statements: Statements, deletes: Iterable[Values], images: Sequence[Sequence[Any]]) -> None:
        """Rows that have swapped a unique value are in each other's way: all of them go before any comes."""
        self._run(statements.deletes([*deletes, *map(statements.key, images)]))
        for image in images:
            try:
                self._run(statements.inserts([image]))
            except apsw.ConstraintError as error:
                key = ", ".join(repr(value)[:_SHOWN] for value in statements.key(image))
                raise translate(error, self._path, f"table {statements.table.name}, key {key}") from error

    def _run(self, statements: Iterable[Statement]) -> None:
        for sql, values in statements:
            self._db.executemany(sql, values)
