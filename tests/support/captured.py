"""PostgreSQL as the primary, captured in the test's own process, and what its changes come to."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
from msgspec import structs

from capture.postgres.holding import PostgresHold
from capture.postgres.source import PostgresSource
from capture.progress import Progress
from inprocess import STREAM, InProcess
from shared.groups import Change, Position
from shared.postgres.fence import open_side


class Captured:
    """A database made from a small SQLite file, opened as the primary of epoch 1."""

    source: PostgresSource
    progress: Progress

    def __init__(self, folder: Path, dsn: str, script: str) -> None:
        path = folder / "app.db"
        with closing(sqlite3.connect(path)) as file:
            file.executescript(script)
        with closing(InProcess(path, dsn)) as pipeline:
            pipeline.copy()
            self.schema = pipeline.schema
        self.dsn = dsn
        self.rows: dict[str, dict[Any, Sequence[Any]]] = {table.name: {} for table in self.schema.tables}
        with closing(sqlite3.connect(path)) as file:
            for table in self.schema.tables:
                for row in file.execute(f'SELECT * FROM "{table.name}"'):
                    self._keep(table.name, row)
        with psycopg.connect(dsn) as db:
            open_side(db, STREAM, self.schema, "first", 1, {})
        self._number = 1_000
        self.restart()

    def restart(self) -> None:
        """Capture anew, from its checkpoint."""
        if hasattr(self, "source"):
            self.source.save(self.progress)
        self._open()
        self.progress = self.source.progress
        self.source.go_on(self.progress)

    def restart_from_log(self) -> None:
        """Capture anew after it was killed: the log says how far it came, the checkpoint may be older."""
        self._open()
        self.source.go_on(self.progress)

    def forget_sum(self) -> None:
        """As an older version left the last group's header."""
        self.progress = structs.replace(self.progress, check=0)

    def _open(self) -> None:
        if hasattr(self, "source"):
            self.source.close()
        self.source = PostgresSource(self.dsn, STREAM)
        self.hold = PostgresHold(lambda: self.dsn, STREAM)
        self.hold.source = self.source
        self.hold.lease = self.source.take_lease()

    def connect(self, **more: Any) -> psycopg.Connection[Any]:
        return psycopg.connect(self.dsn, **more)

    def run(self, *statements: str) -> None:
        """In one transaction."""
        with self.connect() as db:
            for statement in statements:
                db.execute(statement.encode())

    def read(self) -> list[Change]:
        """The next group, brought into ``rows``; none where nothing is decided."""
        high = self.source.high()
        if high == self.progress.seq:
            return []
        meta = self.source.mark(high)
        found = [change for page in self.source.changes(self.progress.seq, high) for change in page]
        numbers = [change.seq for change in found]
        assert numbers == sorted(set(numbers))
        assert set(numbers) <= set(range(self.progress.seq + 1, high + 1))
        self.take(found, high, meta)
        return found

    def take(self, found: Sequence[Change], high: int, meta: Mapping[str, Any]) -> None:
        """As if a group with these changes were appended."""
        self._number += 1
        self.progress = self.progress.grown("changes", high, meta, Position(1, self._number, self._number))
        self.source.published(self.progress)
        for change in found:
            if change.op in "cu":
                self._keep(change.table, change.values)
            else:
                self.rows[change.table].pop(self._key(change.table, change.values), None)

    def _keep(self, table: str, row: Sequence[Any]) -> None:
        self.rows[table][self._key(table, row)] = tuple(row)

    def _key(self, table: str, row: Sequence[Any]) -> Any:
        return tuple(row[place] for place in self.schema.table(table).key_places)

    def assert_same(self) -> None:
        """What the changes came to is what is in PostgreSQL."""
        with self.connect() as db:
            for name, kept in self.rows.items():
                columns = ", ".join(f'"{column}"' for column in self.schema.table(name).names)
                found = db.execute(f'SELECT {columns} FROM "{name}"'.encode())
                there = {self._key(name, row): row for row in found}
                assert kept == there, name

    def close(self) -> None:
        self.hold.let_go()
        self.source.close()
