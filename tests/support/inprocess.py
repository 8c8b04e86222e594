"""Capture and sink in the test's own process, stepped by hand: after each step both sides can be compared."""

from __future__ import annotations

import sqlite3
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg

from capture.relay import Relay
from capture.sqlite.source import SqliteSource
from shared.errors import Retry
from shared.log.embedded import EmbeddedLog
from shared.log.spine import Reader, Writer
from shared.postgres.connection import connect as connect_postgres
from shared.postgres.ledger import Ledger
from shared.sqlite.catalog import read_schema, schema_version
from shared.sqlite.connection import connect, fetch_rows, reading, writing
from shared.sqlite.installation import install_within
from shared.sqlite.state import write_state
from shared.tables import Schema
from sink.applier import Applied, Applier, Limits, Standing
from sink.postgres.replica import PostgresReplica

STREAM = "test"


class InProcess:
    """One stream from a SQLite file through an embedded log into a PostgreSQL database."""

    replica: PostgresReplica

    def __init__(
        self,
        path: Path,
        dsn: str,
        *,
        chunk_rows: int = 50,
        batch_changes: int = 5_000,
        existing: str = "refuse",
        **types: str,
    ) -> None:
        self.path, self.dsn = path, dsn
        self.db = connect(path)
        with reading(self.db):
            self.schema = read_schema(self.db)
        self._install()
        self.log = EmbeddedLog(path.with_name("log.db"))
        self.applied_groups: list[Applied] = []
        self._reader = connect_postgres(dsn, application_name="test")
        self._chunk_rows, self._batch, self._types, self._existing = chunk_rows, batch_changes, types, existing
        self.restart_capture()
        self.restart_sink()

    def reinstall(self) -> None:
        """After triggers of the application's were made: ours are to run first again."""
        self._install()
        self.restart_capture()

    def _install(self) -> None:
        """As capture does when it starts."""
        with writing(self.db):
            install_within(self.db, self.schema, STREAM)
            write_state(self.db, schema_version=str(schema_version(self.db)))

    def restart_capture(self) -> None:
        self.source = SqliteSource(self.db, self.path, self.schema, self._chunk_rows)
        writer = Writer(self.log.spine, STREAM, self.source.incarnation)
        self.relay = Relay(self.source, writer, self.source.progress, lambda _published: None)
        self.relay.claim()

    def restart_sink(self) -> None:
        if hasattr(self, "replica"):
            self.replica.close()
        self.replica = PostgresReplica(self.dsn, STREAM, self._types, self._existing)
        ledger, schema = self._open_replica()
        self.reader = Reader(self.log.spine, STREAM, ledger.position)
        standing = Standing(ledger.incarnation, ledger.seq, schema)
        self.applier = Applier(self.replica, standing, Limits(self._batch, 16_000_000), self)

    def _open_replica(self) -> tuple[Ledger, Schema | None]:
        """The server notices a little later that the sink before let go."""
        for _ in range(200):
            with suppress(Retry):
                return self.replica.open()
            time.sleep(0.02)
        return self.replica.open()

    def applied(self, applied: Applied) -> None:
        self.applied_groups.append(applied)

    def copy(self) -> None:
        """The whole snapshot."""
        self.relay.publish_schema()
        while self.relay.publish_chunk():
            pass
        self.relay.publish_copied()
        self.drain()

    def follow(self) -> None:
        """Publish all changes as one group and apply it."""
        if self.relay.publish_changes():
            self.drain()

    def drain(self) -> None:
        self.relay.flush()
        while events := self.reader.read(0):
            self.applier.apply(events)

    def close(self) -> None:
        self._reader.close()
        self.replica.close()
        self.log.close()
        self.db.close()

    def differences(self) -> list[str]:
        """What differs between the two sides now, in words; nothing is excused."""
        found = []
        for table in self.schema.tables:
            found += _differences(self.db, self._reader, table.name, self.replica)
        return found


def _differences(
    source: sqlite3.Connection, target: psycopg.Connection[Any], name: str, replica: PostgresReplica
) -> list[str]:
    plan = replica.plan(name)
    table = plan.table
    columns = ", ".join(
        table.rowid_name if n.startswith("_switchback") else '"' + n.replace('"', '""') + '"' for n in table.names
    )
    quoted = '"' + name.replace('"', '""') + '"'
    left = {_image(row) for row in fetch_rows(source, f"SELECT {columns} FROM {quoted}")}
    names = ", ".join('"' + n.replace('"', '""') + '"' for n in table.names)
    rows = target.execute(f"SELECT {names} FROM {quoted}".encode()).fetchall()
    right = {_image([c.to_sqlite(v) for c, v in zip(plan.codecs, row, strict=True)]) for row in rows}
    count = len(rows) - len(right)
    return [
        *(f"{name}: only in SQLite: {row}" for row in sorted(left - right)),
        *(f"{name}: only in PostgreSQL: {row}" for row in sorted(right - left)),
        *([f"{name}: {count} rows twice"] if count else []),
    ]


def _image(row: Any) -> str:
    return repr([(type(value).__name__, value) for value in row])
