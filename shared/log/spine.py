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

from shared.errors import LeaseLost, Stop
from shared.groups import Abandoned, Event, Frame, Header, Kind, Position
from shared.log.acceptance import Judgement
from shared.log.contract import Record, RecordStore
from shared.log.headers import to_headers
from shared.log.scanning import Judged, check_anchor, judge_record, scan
from shared.wire import FRAME_BYTES

_HEADER_BYTES = 100_000
"""Headers up to this size fit beside a full frame below a broker's limit; larger ones make frames smaller."""


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

    def peek(self, after: Position) -> list[Header]:
        """The headers of the groups behind ``after`` that count by now; claims nothing, so it may be asked in doubt."""
        state = check_anchor(self._store, self._stream, after)
        end = self._store.bounds()[1]
        judged = scan(self._store, self._stream, after.offset + 1, state, until=end - 1)
        return [header for _, header, judgement in judged if header and _ends_group(header, judgement)]

    def claim(self, lease: int, after: Position) -> list[Header]:
        """Claim that lease; return the headers of the groups that count behind ``after``, which must be there.

        Raises LeaseLost where the lease was claimed before, SpineBroken where ``after`` is gone.
        """
        self._position = None
        state, last = check_anchor(self._store, self._stream, after), after
        claim = self._header("claim", lease, after.number)
        self._store.send(Record(to_headers(claim), b""))
        offset = self._store.flush()
        groups: list[Header] = []
        for record, header, judgement in scan(self._store, self._stream, after.offset + 1, state, until=offset):
            state = judgement.state
            if header and _ends_group(header, judgement):
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
        for frame, (data, more, last) in enumerate(_cut(pieces, _room(header))):
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
        self._state = check_anchor(store, stream, after)
        self._store = store
        self._stream = stream
        self._offset = after.offset + 1
        self._parts: list[bytes] = []

    @property
    def offset(self) -> int:
        """Where the next record is read."""
        return self._offset

    def read(self, timeout: float) -> list[Event]:
        """What came next, perhaps nothing; waits up to ``timeout`` seconds for a first record."""
        events: list[Event] = []
        for record in self._store.fetch(self._offset, timeout):
            self._offset = record.offset + 1
            judged = judge_record(record, self._state, self._stream)
            events += self._events(judged)
            self._state = judged.judgement.state
        return events

    def _events(self, judged: Judged) -> Iterator[Event]:
        record, header, judgement = judged
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


def _ends_group(header: Header, judgement: Judgement) -> bool:
    return not judgement.void and header.last and header.kind != "claim"


def _room(header: Header) -> int:
    """How many bytes of payload a frame takes: ``meta`` holds a cursor, and keys can be long."""
    size = sum(len(name) + len(value) for name, value in to_headers(header))
    room = FRAME_BYTES - max(0, size - _HEADER_BYTES)
    if room < FRAME_BYTES // 10:
        remedy = "A key this long cannot be copied: leave the table out"
        raise Stop(f"a group's header of {size} bytes fits no record", where=f"stream {header.stream}", remedy=remedy)
    return room


def _cut(pieces: Iterable[bytes], room: int) -> Iterator[tuple[bytes, bool, bool]]:
    """(data, the piece goes on, the group ends) for each frame; an empty group is one empty frame."""
    held: tuple[bytes, bool] = (b"", False)
    begun = False
    for piece in pieces:
        for start in range(0, max(len(piece), 1), room):
            if begun:
                yield (*held, False)
            held = (piece[start : start + room] if len(piece) > room else piece, start + room < len(piece))
            begun = True
    yield (*held, True)
