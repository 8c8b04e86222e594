"""The spine in readable form, for ``switchback log show``: one line a group, and one for each void record."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime

from msgspec import Struct, field, structs

from shared import wire
from shared.errors import Stop
from shared.groups import Header
from shared.log.acceptance import Accepted
from shared.log.contract import RecordStore, StoredRecord
from shared.log.scanning import Judged, judge_record, records_until

_OPS = "cudk"


class Line(Struct, frozen=True, omit_defaults=True):
    """A group, a claim or a void record; ``void`` is why it does not count, "" where it does.

    ``offset`` is the last frame's.  ``rows`` counts a snapshot chunk's rows of ``table``, ``changes`` the
    changes by table and op; ``first_ms`` and ``last_ms`` are commit times in milliseconds since 1970.
    """

    offset: int
    group: int = 0
    lease: int = 0
    epoch: int = 0
    kind: str = ""
    first_seq: int = 0
    last_seq: int = 0
    frames: int = 1
    bytes: int = 0
    table: str = ""
    rows: int = 0
    changes: dict[str, dict[str, int]] = field(default_factory=dict)
    first_ms: int = 0
    last_ms: int = 0
    note: str = ""
    void: str = ""

    def __str__(self) -> str:
        parts = [f"offset {self.offset}"]
        if self.kind:
            parts.append(f"group {self.group}  lease {self.lease}  epoch {self.epoch}  {self.kind}")
        if self.void:
            return "  ".join([*parts, f"VOID: {self.void}"])
        if self.last_seq >= self.first_seq:
            parts.append(f"seq {self.first_seq}-{self.last_seq}")
        if self.kind != "claim":
            parts.append(f"{self.frames} frame{'s'[: self.frames != 1]}  {self.bytes:,} bytes")
        return "  ".join([*parts, *self._content()])

    def _content(self) -> Iterator[str]:
        if self.table:
            yield f"{self.table}: {self.rows:,} rows"
        if self.changes:
            tables = (f"{table}: {_counts(ops)}" for table, ops in self.changes.items())
            yield "; ".join(tables)
        if self.last_ms:
            yield f"{_time(self.first_ms)} to {_time(self.last_ms)}"
        if self.note:
            yield self.note


def list_groups(store: RecordStore, stream: str, from_number: int = 0) -> Iterator[Line]:
    """The lines from that group on, as far as the log goes now."""
    first, end = store.bounds()
    walk = _Walk(stream, from_number, whole=first == 0)
    for record in records_until(store, stream, first, end - 1):
        yield from walk.step(record)
    yield from walk.end("half a group: its end has not come yet")


class _Walk:
    """Follows the records as a reader does.

    Where the spine's beginning is gone nobody can tell who holds the lease there: the first record of a
    group is taken at its word, but for a claim that stands before it.
    """

    def __init__(self, stream: str, from_number: int, *, whole: bool) -> None:
        self._stream = stream
        self._from = from_number
        self._state = Accepted() if whole else None
        self._lease = 0
        self._group: _Group | None = None

    def step(self, record: StoredRecord) -> Iterator[Line]:
        judged = judge_record(record, self._state or self._guess(record), self._stream)
        header, judgement = judged.header, judged.judgement
        counts = header is not None and not judgement.void
        if counts and header and header.kind == "claim":
            self._lease = header.lease
        if self._state is not None or (counts and header and header.kind != "claim"):
            self._state = judgement.state
        if judgement.abandons:
            yield from self.end("half a group: a claim came before its end")
        if counts and header and header.kind != "claim":
            yield from self._add(record, header)
        elif (header.number if header else judgement.state.number + 1) >= self._from:
            yield _single(judged)

    def _guess(self, record: StoredRecord) -> Accepted:
        """A state after which this record counts."""
        header = judge_record(record, Accepted(), self._stream).header
        if header is None or header.stream != self._stream:
            return Accepted(self._lease)
        if header.kind == "claim":
            return Accepted(self._lease, header.number)
        return Accepted(max(self._lease, header.lease), header.number - 1, header.writer, header.frame)

    def _add(self, record: StoredRecord, header: Header) -> Iterator[Line]:
        if self._group is None:
            self._group = _Group(header, wanted=header.number >= self._from)
        self._group.add(record, header)
        if header.last:
            yield from self.end()

    def end(self, void: str = "") -> Iterator[Line]:
        group, self._group = self._group, None
        if group and group.wanted:
            yield group.line(void)


def _single(judged: Judged) -> Line:
    """A claim, or a record that is void."""
    record, header, judgement = judged
    line = Line(record.offset, bytes=len(record.value), void=judgement.void)
    if header is None:
        return line
    return structs.replace(
        line,
        group=header.number,
        lease=header.lease,
        epoch=header.epoch,
        kind=header.kind,
        note=f"writer {header.writer}",
    )


class _Group:
    """A group whose frames are coming."""

    def __init__(self, header: Header, *, wanted: bool) -> None:
        self.wanted = wanted
        self._header = header
        self._offset = self._frames = self._bytes = self._rows = 0
        self._parts: list[bytes] = []
        self._changes: dict[str, Counter[str]] = {}
        self._times: list[int] = []
        self._note = _purpose(header)

    def add(self, record: StoredRecord, header: Header) -> None:
        self._offset = record.offset
        self._frames += 1
        self._bytes += len(record.value)
        if not self.wanted:
            return
        self._parts.append(record.value)
        if not header.more:
            piece, self._parts = b"".join(self._parts), []
            try:
                self._count(piece)
            except Stop as error:
                self._note = error.what

    def _count(self, piece: bytes) -> None:
        kind = self._header.kind
        if kind == "changes" and piece:
            changes = wire.decode_changes(piece)
            for change in changes:
                self._changes.setdefault(change.table, Counter())[change.op] += 1
            times = [*self._times, *(change.time_ms for change in changes)]
            self._times = [min(times), max(times)]
        elif kind == "snapshot" and piece:
            columns = wire.decode_rows(piece).columns
            self._rows += len(columns[0]) if columns else 0
        elif kind == "schema" and piece:
            self._note = f"{len(wire.decode_schema(piece).tables)} tables"

    def line(self, void: str) -> Line:
        header = self._header
        first_ms, last_ms = self._times or (0, 0)
        return Line(
            offset=self._offset,
            group=header.number,
            lease=header.lease,
            epoch=header.epoch,
            kind=header.kind,
            first_seq=header.first_seq,
            last_seq=header.last_seq,
            frames=self._frames,
            bytes=self._bytes,
            table=str(header.meta.get("table", "")),
            rows=self._rows,
            changes={table: dict(counts) for table, counts in self._changes.items()},
            first_ms=first_ms,
            last_ms=last_ms,
            note=self._note,
            void=void,
        )


def _purpose(header: Header) -> str:
    if header.kind == "snapshot":
        return "the table is done" if header.meta.get("done") else ""
    return str(header.meta.get("purpose", ""))


def _counts(ops: dict[str, int]) -> str:
    return " ".join(f"{op}{ops[op]}" for op in _OPS if op in ops)


def _time(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
