"""The same pair after a cutover, stepped by hand: PostgreSQL is the primary, and one table of it is written to.

What capture and sink do in that direction is done here change by change, so that each step can be held up:
``write`` in PostgreSQL with an entry in the change log, ``publish`` to the spine, ``apply`` to SQLite.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import Any

from comparing import past_the_fence
from inprocess import STREAM
from shared import wire
from shared.groups import Change, Position
from shared.log.embedded import EmbeddedLog
from shared.log.spine import Writer
from verifying import Pair

_OTHER = "INSERT INTO switchback.captured (stream, table_name, columns) VALUES ('another', 'person', '{}')"
_NUMBER = "SELECT number FROM switchback.captured WHERE stream = %s AND table_name = 'person'"
_ENTRY = "INSERT INTO switchback.changes (number, op, ms, image) VALUES (%s, 'u', 0, '{}')"
_SIDE = "UPDATE switchback.side SET role = 'primary', checkpoint = %s WHERE stream = %s"


class Turned:
    """The pair's table ``person`` in epoch 1."""

    def __init__(self, pair: Pair) -> None:
        self._pair = pair
        self._db = past_the_fence(pair.dsn)
        self._db.execute(_OTHER)
        [[self._number]] = self._db.execute(_NUMBER, (STREAM,)).fetchall()
        self._seq = 0
        self._written: list[Change] = []
        self._published: list[tuple[Position, list[Change]]] = []
        self._log = EmbeddedLog(pair.path.with_name("log.db"))
        self._writer = Writer(self._log.spine, STREAM, "postgres")
        before = pair.barrier()
        self._writer.claim(before.lease + 1, before)
        self.position, self._snapshot = before, ""
        self.checkpoint()
        self._write_sqlite([], before)

    def write(self, visits: int, *keys: int) -> None:
        """Give persons so many visits, in a transaction."""
        with self._db.transaction():
            for key in keys:
                row = self._db.execute("UPDATE person SET visits = %s WHERE id = %s RETURNING *", (visits, key))
                self._change("u", row.fetchone())

    def delete(self, key: int) -> None:
        """Delete a person."""
        with self._db.transaction():
            self._change("d", self._db.execute("DELETE FROM person WHERE id = %s RETURNING *", (key,)).fetchone())

    def _change(self, op: Any, row: Any) -> None:
        self._db.execute(_ENTRY, (self._number,))
        self._seq += 1
        self._written.append(Change("person", op, self._seq, 0, row))

    def publish(self) -> Position:
        """One group of all that was written, or a barrier."""
        changes, self._written = self._written, []
        [[snapshot]] = self._db.execute("SELECT pg_current_snapshot()::text").fetchall()
        kind, meta = ("changes", {"horizon": "1", "snapshot": snapshot}) if changes else ("barrier", {})
        pieces = wire.encode_changes(changes)
        first = self._seq - len(changes) + 1
        self._writer.append(kind, pieces, epoch=1, first_seq=first, last_seq=self._seq, meta=meta)  # type: ignore[arg-type]
        self.position = self._writer.flush()
        self._snapshot = snapshot if changes else self._snapshot
        self._published.append((self.position, changes))
        return self.position

    def checkpoint(self) -> None:
        """As capture's house-keeping."""
        checkpoint = {"number": self.position.number, "snapshot": self._snapshot}
        self._db.execute(_SIDE, (json.dumps(checkpoint), STREAM))

    def apply(self) -> None:
        """Bring what was published to SQLite."""
        for position, changes in self._published:
            self._write_sqlite(changes, position)
        self._published = []

    def follow(self) -> Position:
        """Publish and apply, and keep house."""
        position = self.publish()
        self.apply()
        self.checkpoint()
        return position

    def _write_sqlite(self, changes: list[Change], position: Position) -> None:
        lease, number, offset = position.parts
        ledger = {"token": 1, "lease": lease, "number": number, "offset": offset, "seq": self._seq, "epoch": 1}
        state = {"role": "replica", "epoch": "1", "ledger": json.dumps(ledger)}
        with closing(sqlite3.connect(self._pair.path, timeout=30)) as db, db:
            high = db.execute("SELECT coalesce(max(seq), 0) FROM _switchback_log").fetchone()[0]
            for change in changes:
                db.execute("DELETE FROM person WHERE id = ?", (change.values[0],))
                if change.op != "d":
                    db.execute("INSERT INTO person VALUES (?, ?, ?, ?, ?)", change.values)
            db.execute("DELETE FROM _switchback_log WHERE seq > ?", (high,))
            db.executemany("REPLACE INTO _switchback_state VALUES (?, ?)", state.items())

    def close(self) -> None:
        self._db.close()
        self._log.close()
