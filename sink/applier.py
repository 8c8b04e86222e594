"""The loop's body: events from the log in, transactions on the replica out.

Groups of changes that are there already are collapsed into one batch and written in one transaction;
a group too large for memory is written piece by piece in a transaction of its own.  In either case the
transaction ends at the end of a group and holds the ledger's step to that group, so that a crash at any
point leaves the replica at a whole group, and the ledger says which.

Where rows of a group are in each other's way, later groups go into the same transaction until none is: the
ledger then moves past them all.  They are read whole into memory first, since a torn one must leave no trace.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from shared import wire
from shared.errors import SourceRestored, Stop
from shared.groups import Abandoned, Change, Event, Frame, Header, Position
from shared.steps import reached
from shared.tables import Schema
from sink.batch import Batch, collapse
from sink.replica import Replica, Unsettled


@dataclass(frozen=True, slots=True)
class Applied:
    """What one commit brought: for metrics and reports."""

    header: Header
    position: Position
    changes: int
    rows: int
    time_ms: int
    seconds: float


class Observer(Protocol):
    """Is told of every commit."""

    def applied(self, applied: Applied) -> None:
        """One or more groups are committed."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is held in memory before it is written: changes, and bytes of their payload."""

    changes: int
    bytes: int

    def reached(self, changes: int, size: int) -> bool:
        """Whether it is time to write."""
        return changes >= self.changes or size >= self.bytes


@dataclass(slots=True)
class Standing:
    """Where the replica stands in the history."""

    incarnation: str
    seq: int
    schema: Schema | None


class Applier:
    """Applies events in their order; any error leaves it unusable: open the replica anew and read again."""

    def __init__(self, replica: Replica, standing: Standing, limits: Limits, observer: Observer) -> None:
        self._replica = replica
        self._standing = standing
        self._limits = limits
        self._observer = observer
        self._batch = self._new_batch()
        self._batch_end: Frame | None = None
        self._pieces: list[list[Change]] = []
        self._held = 0  # changes in pieces
        self._bytes = 0  # payload of all changes that are held
        self._open = False  # a transaction for one large group is under way
        self._changes = self._rows = self._time_ms = 0
        self._began = 0.0
        self.unsettled: Unsettled | None = None
        """What keeps the transaction of the groups so far from being committed, if anything does."""

    def apply(self, events: Iterable[Event]) -> None:
        """Apply what a read brought; all groups that are complete with it are committed at the end."""
        for event in events:
            if isinstance(event, Abandoned):
                self._abandon()
                continue
            reached("group-read")
            if event.header.kind == "changes":
                self._take_changes(event)
            else:
                self._commit_batch()
                self._take_other(event)
        self._commit_batch()
        self._replica.settle()

    def _abandon(self) -> None:
        self._pieces, self._held, self._bytes = [], 0, 0
        if self._open:
            self._replica.rollback()
            self._open = False

    def _take_changes(self, frame: Frame) -> None:
        if not (self._pieces or self._open):
            self._check_history(frame.header)
        changes = wire.decode_changes(frame.piece) if frame.piece else []
        if self._open:
            self._write(changes)
        else:
            self._pieces.append(changes)
            self._held += len(changes)
            self._bytes += len(frame.piece)
        if frame.header.last:
            self._end_changes(frame)
        elif not (self._open or self.unsettled) and self._limits.reached(self._held, self._bytes):
            self._stream_pieces()

    def _check_history(self, header: Header) -> None:
        standing = self._standing
        where = f"stream {header.stream}, group {header.number}"
        if standing.incarnation == "":
            standing.incarnation = header.incarnation
        if standing.incarnation != header.incarnation:
            what = "the log goes on with changes of another source database"
            raise SourceRestored(what, where=where, remedy="Use a stream name of its own for each source")
        if header.first_seq != standing.seq + 1:
            what = f"the log goes on with change {header.first_seq} where {standing.seq + 1} is due"
            raise Stop(what, where=where, remedy="Changes are missing between them: copy again")

    def _stream_pieces(self) -> None:
        self._commit_batch()
        if self.unsettled:
            return
        self._begin()
        pieces, self._pieces, self._held, self._bytes = self._pieces, [], 0, 0
        for changes in pieces:
            self._write(changes)

    def _write(self, changes: list[Change]) -> None:
        most = self._limits.changes
        for start in range(0, len(changes), most):
            batch = collapse(self._schema, changes[start : start + most])
            self._replica.write_batch(batch)
            self._changes += len(batch)
            self._time_ms = max(self._time_ms, batch.time_ms)

    def _end_changes(self, frame: Frame) -> None:
        self._standing.seq = max(self._standing.seq, frame.header.last_seq)
        if self._open:
            self._commit(frame)
            return
        for changes in self._pieces:
            self._batch.add(changes)
        self._pieces, self._held = [], 0
        self._batch_end = frame
        if self._limits.reached(len(self._batch), self._bytes):
            self._commit_batch()

    def _commit_batch(self) -> None:
        end, batch = self._batch_end, self._batch
        if end is None:
            return
        self._began = time.monotonic()
        few = self._replica.write_few(batch, end.header, end.position, batch.time_ms)
        if not few:
            self._begin()
            self._replica.write_batch(batch)
        else:
            self._changes = self._rows = self._time_ms = 0
        self._changes += len(batch)
        self._time_ms = max(self._time_ms, batch.time_ms)
        self._batch, self._batch_end, self._bytes = self._new_batch(), None, 0
        if few:
            reached("applied")
            self._finish(end)
        else:
            self._commit(end)

    def _take_other(self, frame: Frame) -> None:
        header = frame.header
        if not self._open:
            self._check_incarnation(header)
            self._begin()
        if header.kind == "schema":
            self._standing.schema = wire.decode_schema(frame.piece)
            self._batch = self._new_batch()
            self._replica.apply_schema(self._schema)
        elif header.kind == "snapshot":
            self._take_rows(frame)
        elif header.kind == "barrier" and header.meta.get("purpose") == "copied":
            self._replica.finish()
        if header.last:
            self._commit(frame)

    def _check_incarnation(self, header: Header) -> None:
        if self._standing.incarnation == "":
            self._standing.incarnation = header.incarnation
        if header.kind != "schema":
            return
        if self._standing.schema is not None:
            what = "the log brings a second schema"
            raise Stop(what, where=f"group {header.number}", remedy="Copy again into an empty target")

    def _take_rows(self, frame: Frame) -> None:
        if frame.piece:
            self._rows += self._replica.copy_rows(wire.decode_rows(frame.piece))
        if frame.header.last:
            done = bool(frame.header.meta["done"])
            self._replica.end_chunk(frame.header.meta["table"], self._rows, done=done)
            if done:
                reached("table-finished")

    def _begin(self) -> None:
        self._open = True
        if self.unsettled:
            return
        self._replica.begin()
        self._changes = self._rows = self._time_ms = 0
        self._began = time.monotonic()

    def _commit(self, frame: Frame) -> None:
        reached("applied")
        try:
            self._replica.advance(frame.header, frame.position, self._time_ms)
        except Unsettled as trouble:
            self.unsettled, self._open = trouble, False
            return
        self.unsettled = None
        self._finish(frame)

    def _finish(self, frame: Frame) -> None:
        reached("ledger-written")
        self._replica.commit()
        reached("committed")
        self._open = False
        seconds = time.monotonic() - self._began
        done = Applied(frame.header, frame.position, self._changes, self._rows, self._time_ms, seconds)
        self._observer.applied(done)

    @property
    def _schema(self) -> Schema:
        if self._standing.schema is None:
            what = "the log brings rows before any schema"
            raise Stop(what, remedy="Its beginning is missing: copy again")
        return self._standing.schema

    def _new_batch(self) -> Batch:
        return Batch(self._standing.schema or Schema(()))
