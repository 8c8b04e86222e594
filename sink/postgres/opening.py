"""Opening the PostgreSQL replica: all in one transaction, which waits for the old primary to be closed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg

from shared.control.standing import Standing
from shared.errors import LeaseLost
from shared.postgres import fence
from shared.postgres.connection import translated
from shared.postgres.side import read_side
from shared.postgres.version import bring_up
from shared.tables import Schema

_PATIENCE = "SET LOCAL lock_timeout = '2s'"
_TOKEN = "SELECT token FROM switchback.ledger WHERE stream = %s FOR UPDATE"  # noqa: S105  (a fence, no secret)
_WHERE = "opening PostgreSQL"


class Opener:
    """Works on the replica's own connection, between two of its transactions."""

    def __init__(self, db: psycopg.Connection[Any], stream: str) -> None:
        self._db = db
        self._stream = stream
        self._prepared = ""

    def standing(self) -> Standing:
        """What the database says of itself; a replica of epoch 0 before anything was installed."""
        with translated(where=_WHERE):
            bring_up(self._db)
            side = read_side(self._db, self._stream)
        return Standing(side.epoch, side.role, side.attempt) if side else Standing(0, "replica", "")

    def prepare(self, schema: Schema, token: int, attempt: str, epoch: int, sequences: Mapping[str, int]) -> None:
        """Everything but the COMMIT; LeaseLost where another sink has taken over."""
        with translated(where=_WHERE):
            self._prepared = attempt
            with self._db.pipeline():
                self._db.execute("BEGIN")
                self._db.execute(_PATIENCE)
                found = self._db.execute(_TOKEN, (self._stream,))
            row = found.fetchone()
            if row is None or int(row[0]) != token:
                what = "another sink has taken over this stream"
                raise LeaseLost(what, where=f"stream {self._stream}", remedy="Run one sink a stream")
            fence.open_side(self._db, self._stream, schema, attempt, epoch, sequences)

    def unprepare(self) -> None:
        """Roll back what is prepared."""
        if self._prepared and not self._db.closed:
            with translated(where=_WHERE):
                self._db.execute("ROLLBACK")
        self._prepared = ""

    def commit(self, schema: Schema, token: int, attempt: str, epoch: int, sequences: Mapping[str, int]) -> None:
        """Open it; prepares anew where that was lost."""
        if self._prepared != attempt:
            standing = self.standing()
            if standing.role == "primary" and standing.attempt == attempt:
                return
            self.prepare(schema, token, attempt, epoch, sequences)
        with translated(where=_WHERE):
            self._db.execute("COMMIT")
        self._prepared = ""
