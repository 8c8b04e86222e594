"""Reading and writing the spine: groups above, records below, and the rule of acceptance between them.

Compare-and-append without transactions.  A writer appends a claim, reads up to it and so knows the
last group that counts; from then on it numbers its groups densely and may pipeline them.  It never
learns from an acknowledgement that a group counts: a later claim may already stand before it.  That
answer comes from the replica's ledger alone.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from shared.errors import LeaseLost, SpineBroken, Stop
from shared.groups import Abandoned, Event, Frame, Header, Kind, Position
from shared.log.acceptance import Accepted, Judgement, judge
from shared.log.contract import Record, RecordStore, StoredRecord
from shared.log.headers import Unreadable, from_headers, to_headers
from shared.wire import FRAME_BYTES

_REMEDY = "The log was truncated or recreated: start a new stream, or empty the target and copy again"


class Writer:
    """The one that appends to a stream's spine; useless until its claim was accepted."""

    def __init__(self, store: RecordStore, stream: str, incarnation: str) -> None:
        self._store = store
        self._stream = stream
        self._incarnation = incarnation
        self._name = uuid.uuid4().hex
        self._position: Position | None = None
        self._anchor = Position()

    @property
    def anchor(self) -> Position:
        """The last group known to be in the spine with its offset: from where the next claim may read.

        It is the last group that counted when the claim was made, or the last one flushed since.
        """
        return self._anchor

    @property
    def position(self) -> Position:
        """The last group appended (its offset holds after ``flush``)."""
        if self._position is None:
            message = "nothing may be appended before a claim was accepted, nor after an append failed"
            raise Stop(message)
        return self._position

    def claim(self, lease: int, after: Position) -> list[Header]:
        """Claim that lease; return the headers of the groups that count behind ``after``, which must be there.

        Raises LeaseLost where the lease was claimed before, SpineBroken where ``after`` is gone.
        """
        self._position = None
        check_anchor(self._store, self._stream, after)
        claim = self._header("claim", lease, after.number)
        self._store.send(Record(to_headers(claim), b""))
        offset = self._store.flush()
        groups: list[Header] = []
        state, last = Accepted.after(after), after
        for record, header, judgement in scan(self._store, self._stream, after.offset + 1, state, until=offset):
            state = judgement.state
            if header and not judgement.void and header.last and header.kind != "claim":
                groups.append(header)
                last = Position(header.lease, header.number, record.offset)
        if state.writer != self._name:
            what = f"lease {lease} is not to be had: lease {state.lease} was claimed before"
            raise LeaseLost(what, where=f"stream {self._stream}")
        self._anchor, self._position = last, Position(lease, state.number)
        return groups

    def append(  # noqa: PLR0913  (a group's header is what it is)
        self,
        kind: Kind,
        pieces: Iterable[bytes],
        *,
        epoch: int,
        first_seq: int,
        last_seq: int,
        meta: Mapping[str, Any] | None = None,
    ) -> Position:
        """Append one group of one or more pieces; its offset is not known before ``flush``.

        If anything fails here the group is half written and this writer is done: claim anew.
        """
        lease, number = self.position.lease, self.position.number + 1
        self._position = None
        header = replace(
            self._header(kind, lease, number),
            epoch=epoch,
            first_seq=first_seq,
            last_seq=last_seq,
            meta=meta or {},
        )
        for frame, (data, more, last) in enumerate(_cut(pieces)):
            framed = replace(header, frame=frame, more=more, last=last)
            self._store.send(Record(to_headers(framed), data))
        self._position = Position(lease, number)
        return self._position

    def flush(self) -> Position:
        """Wait until everything appended is durable; returns the anchor, the last group with its offset."""
        position = self.position
        self._position = None
        offset = self._store.flush()
        if position.number > self._anchor.number:
            self._anchor = replace(position, offset=offset)
        self._position = position
        return self._anchor

    def _header(self, kind: Kind, lease: int, number: int) -> Header:
        return Header(self._stream, self._incarnation, self._name, lease, number, kind)


class Reader:
    """Reads what counts, from a position on; one group may come in several frames over several reads."""

    def __init__(self, store: RecordStore, stream: str, after: Position) -> None:
        check_anchor(store, stream, after)
        self._store = store
        self._stream = stream
        self._offset = after.offset + 1
        self._state = Accepted.after(after)
        self._parts: list[bytes] = []

    def read(self, timeout: float) -> list[Event]:
        """What came next, perhaps nothing; waits up to ``timeout`` seconds for a first record."""
        events: list[Event] = []
        for record in self._store.fetch(self._offset, timeout):
            self._offset = record.offset + 1
            header, judgement = _judge(record, self._state, self._stream)
            events += self._events(record, header, judgement)
            self._state = judgement.state
        return events

    def _events(self, record: StoredRecord, header: Header | None, judgement: Judgement) -> Iterator[Event]:
        if judgement.abandons:
            self._parts = []
            yield Abandoned(self._state.lease, self._state.number + 1)
        if header is None or judgement.void or header.kind == "claim":
            return
        self._parts.append(record.value)
        if not header.more:
            piece = b"".join(self._parts) if len(self._parts) > 1 else self._parts[0]
            self._parts = []
            yield Frame(header, Position(header.lease, header.number, record.offset), piece)


def scan(
    store: RecordStore, stream: str, offset: int, state: Accepted | None, *, until: int
) -> Iterator[tuple[StoredRecord, Header | None, Judgement]]:
    """Every record from ``offset`` to ``until``, both included, with its judgement.

    Without a state to begin with, the first readable record is taken at its word.
    """
    while offset <= until:
        records = store.fetch(offset, 1.0)
        for record in records:
            if record.offset > until:
                return
            header, judgement = _judge(record, state, stream)
            state = judgement.state if header or state else None
            yield record, header, judgement
            offset = record.offset + 1
        if not records and store.bounds()[1] <= until:
            what = f"the spine ends at offset {store.bounds()[1] - 1}, before {until}"
            raise SpineBroken(what, where=f"stream {stream}", remedy=_REMEDY)


def check_anchor(store: RecordStore, stream: str, after: Position) -> None:
    """Raise SpineBroken unless the spine still holds the end of that group, or all that follows it."""
    first, end = store.bounds()
    where = f"stream {stream}, {after}"
    if after.number == 0:
        if first > 0 and after.offset < first - 1:
            what = f"the spine begins at offset {first}: its first groups are gone"
            raise SpineBroken(what, where=where, remedy=_REMEDY)
        return
    if after.offset >= end:
        raise SpineBroken(f"the spine ends at offset {end - 1}", where=where, remedy=_REMEDY)
    if after.offset < first - 1:
        what = f"the spine begins at offset {first}: groups that were not applied are gone"
        raise SpineBroken(what, where=where, remedy=_REMEDY)
    if after.offset < first:
        return
    record = store.fetch(after.offset, 10.0)[0]
    try:
        header = from_headers(record.headers)
    except Unreadable as error:
        raise SpineBroken(f"another record stands there: {error}", where=where, remedy=_REMEDY) from error
    if record.offset != after.offset or (header.stream, header.lease, header.number) != (stream, *after.name):
        what = f"group {header.number} of lease {header.lease} of stream {header.stream} stands there instead"
        raise SpineBroken(what, where=where, remedy=_REMEDY)


def _judge(record: StoredRecord, state: Accepted | None, stream: str) -> tuple[Header | None, Judgement]:
    try:
        header = from_headers(record.headers)
    except Unreadable as error:
        return None, Judgement(state or Accepted(), str(error))
    if state is None:
        state = Accepted(header.lease, header.number - 1, header.writer, header.frame)
        if header.kind == "claim":
            state = Accepted(header.lease - 1, header.number)
    return header, judge(state, header, stream)


def _cut(pieces: Iterable[bytes]) -> Iterator[tuple[bytes, bool, bool]]:
    """(data, the piece goes on, the group ends) for each frame; an empty group is one empty frame."""
    held: tuple[bytes, bool] = (b"", False)
    begun = False
    for piece in pieces:
        for start in range(0, max(len(piece), 1), FRAME_BYTES):
            if begun:
                yield (*held, False)
            held = (piece[start : start + FRAME_BYTES], start + FRAME_BYTES < len(piece))
            begun = True
    yield (*held, True)
