"""The PostgreSQL side: chunks and single rows, each in one snapshot together with the ledger's seq."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec

from operations.verification.comparing import Key, Row, by_key
from operations.verification.loading import fetch, prepare
from operations.verification.selects import Selects
from operations.verification.view import View
from shared.errors import BadInput, Retry
from shared.postgres.connection import connect, translated
from shared.postgres.ledger import Ledger, read_ledger
from shared.postgres.snapshots import Snapshot

_SNAPSHOT = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_SEQ = "SELECT seq FROM switchback.ledger WHERE stream = %s"
_ROLE = "SELECT role, checkpoint FROM switchback.side WHERE stream = %s"
_UNPUBLISHED = """
SELECT EXISTS (SELECT FROM switchback.changes AS c JOIN switchback.captured AS t USING (number)
 WHERE t.stream = %s AND c.xid >= %s::text::xid8 AND pg_visible_in_snapshot(c.xid, %s::pg_snapshot)
   AND NOT pg_visible_in_snapshot(c.xid, %s::pg_snapshot))
"""
_POLL_SECONDS = 0.005
_POLL_SECONDS_MAX = 0.1


class Replica:
    """A connection that only reads; one thread at a time."""

    def __init__(self, dsn: str, stream: str, patience: float) -> None:
        self.db = connect(dsn, application_name=f"switchback-verify {stream}")
        with translated(where="the target"):
            prepare(self.db)
        self._stream = stream
        self._patience = patience
        self._given_up = threading.Event()
        self._selects: dict[str, Selects] = {}

    def ledger(self) -> Ledger:
        """The stream's ledger; BadInput where there is none."""
        with translated(where="the ledger"):
            found = read_ledger(self.db, self._stream)
        if found is None:
            what = "no sink ever worked for this stream in the target"
            remedy = "See --stream and --target, or run `switchback run`"
            raise BadInput(what, where=f"stream {self._stream}", remedy=remedy)
        return found

    @property
    def role(self) -> str:
        """What this database says of itself: "primary" or "replica"."""
        with translated(where="the side's state"):
            row = self.db.execute("SELECT to_regclass('switchback.side') IS NOT NULL").fetchone()
            side = self.db.execute(_ROLE, (self._stream,)).fetchone() if row and row[0] else None
        return str(side[0]) if side else "replica"

    def read_published(self) -> tuple[Snapshot, int]:
        """As the primary: those transactions are published, in groups up to that one at the most."""
        with translated(where="the side's state"):
            row = self.db.execute(_ROLE, (self._stream,)).fetchone()
        checkpoint = msgspec.json.decode(row[1] or "{}", type=_Checkpoint) if row else _Checkpoint()
        return Snapshot.of(checkpoint.snapshot, checkpoint.horizon), checkpoint.number

    def begin(self) -> None:
        """Wait for changes from now on, whatever was given up before."""
        self._given_up.clear()

    def give_up(self) -> None:
        """Let another thread that waits for a change wait no longer: the verification ends."""
        self._given_up.set()

    def wait_for(self, seq: int) -> None:
        """Wait until that change was applied; Retry where it takes too long."""
        deadline, pause = time.monotonic() + self._patience, _POLL_SECONDS
        while (applied := self.seq()) < seq:
            if time.monotonic() > deadline:
                what = f"change {seq} was not applied within {self._patience:.0f} s; the replica stands at {applied}"
                remedy = "Look at `switchback status`: capture and sink must run while changes are waiting"
                raise Retry(what, where=f"stream {self._stream}", remedy=remedy)
            if self._given_up.wait(pause):
                raise Retry("the verification was ended", where=f"stream {self._stream}")
            pause = min(pause * 2, _POLL_SECONDS_MAX)

    def seq(self) -> int:
        """The ledger's seq in the snapshot of the current transaction."""
        with translated(where="the ledger"):
            row = self.db.execute(_SEQ, (self._stream,)).fetchone()
        if row is None:
            what = "the ledger's row is gone"
            raise BadInput(what, where=f"stream {self._stream}", remedy="Copy again")
        return int(row[0])

    @contextmanager
    def snapshot(self, view: View) -> Iterator[int]:
        """One consistent view of everything; gives the ledger's seq in it."""
        with translated(where=f"table {view.table.name}"):
            self.db.execute(_SNAPSHOT)
            try:
                yield self.seq()
            finally:
                if not self.db.closed:
                    self.db.execute("ROLLBACK")

    def read_range(self, view: View, seq: int, after: Key, upto: Key, limit: int) -> list[tuple[Any, ...]]:
        """At most ``limit`` rows with after < key <= upto, in order, once ``seq`` was applied; () is no bound."""
        self.wait_for(seq)
        selects = self._of(view)
        query = selects.range(lower=bool(after), upper=bool(upto))
        with self.snapshot(view):
            return fetch(self.db, query, [*after, *upto, limit])

    def read_rows(self, view: View, seq: int, keys: Sequence[Key]) -> tuple[dict[Key, Row], int]:
        """The rows of those keys once ``seq`` was applied, in SQLite's values, and the ledger's seq with them."""
        sought = [found for key in keys if (found := view.key_to_replica(key)) is not None]
        self.wait_for(seq)
        with self.snapshot(view) as applied:
            rows = self._of(view).fetch(self.db, sought)
        columns = view.columns_from_replica(rows)
        return by_key(list(zip(*columns, strict=True)), view.table.key_places), applied

    def read_primary(self, view: View, keys: Sequence[Key]) -> tuple[dict[Key, Row], str]:
        """As the primary: the rows of those keys, in SQLite's values, and the snapshot in which they are so."""
        sought = [found for key in keys if (found := view.key_to_replica(key)) is not None]
        with self.snapshot(view):
            [seen] = self.db.execute("SELECT pg_current_snapshot()::text").fetchone() or [""]
            rows = self._of(view).fetch(self.db, sought)
        columns = view.columns_from_replica(rows)
        found_rows: list[Row] = list(zip(*columns, strict=True))
        return by_key(found_rows, view.table.key_places), seen

    def has_published(self, seen: str, published: Snapshot) -> bool:
        """As the primary: whether all changes in the first snapshot are in the second one too."""
        values = (self._stream, str(published.horizon), seen, str(published))
        with translated(where="the change log"):
            row = self.db.execute(_UNPUBLISHED, values).fetchone()
        return not (row and row[0])

    def read_keys(self, view: View, after: Key, limit: int) -> list[tuple[Any, ...]]:
        """The next keys in PostgreSQL's own order, as they are there."""
        with translated(where=f"table {view.table.name}"):
            query = self._of(view).keys(lower=bool(after))
            return fetch(self.db, query, [*after, limit])

    def close(self) -> None:
        """Close the connection."""
        self.db.close()

    def _of(self, view: View) -> Selects:
        known = self._selects.get(view.table.name)
        if known is None or known.view is not view:
            known = self._selects[view.table.name] = Selects(view)
        return known


class _Checkpoint(msgspec.Struct):
    """What matters here of what capture notes in the primary."""

    number: int = 0
    horizon: str = ""
    snapshot: str = ""
