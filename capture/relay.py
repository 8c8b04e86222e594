"""The loop's body: from the source's change log to the spine.

Everything up to the change log's highest seq, read in one transaction, is whole source transactions:
SQLite has one writer.  So a group of changes always ends at such a seq, a snapshot chunk is published
behind all changes up to the seq that was read with it, and no group ever shows half a transaction.

What was published is known from the spine alone: a claim reads it from the checkpoint on.  The
checkpoint is written to the source only under the lease that the source itself holds, so a capture
that was deposed can neither publish a record that counts nor move the checkpoint.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from capture.progress import Progress, TableProgress, fold
from capture.sqlite.chunks import Chunk
from shared import wire
from shared.errors import BadInput, LeaseLost, SourceRestored
from shared.groups import Change, Header, Kind, Position
from shared.log.spine import Writer
from shared.steps import reached
from shared.tables import Schema

_OLDER = "The source is an older copy of what was replicated: bring the newer one back, or copy again"
_USED = "the log holds the history of another source, or of an earlier installation, under this stream's name"
_OTHER_NAME = "Choose another name with --stream, or remove the old log"


class Source(Protocol):
    """What the relay asks of the primary."""

    schema: Schema
    incarnation: str
    copied: bool  # from then on the order of rowids does not matter

    def take_lease(self) -> int:
        """Raise the lease in the source and return it: whoever held it before must stop."""

    def high(self) -> int:
        """The highest seq, read under the checks that every read begins with."""

    def chunk(self, table: str, after: str) -> tuple[Chunk, int]:
        """A chunk of a table and the highest seq, read in one transaction."""

    def changes(self, after: int, upto: int) -> Iterator[list[Change]]:
        """The changes in (after, upto], in pages; numbers that stand for nothing are left out."""

    def mark(self, high: int) -> dict[str, object]:
        """What the header of a group that ends at that seq says of the place in the source."""

    def go_on(self, progress: Progress) -> None:
        """Go on behind what was published; SourceRestored where the source and the log do not fit together."""

    def census(self) -> Schema:
        """The schema with what the columns really hold."""

    def estimates(self) -> dict[str, int]:
        """About how many rows each table has."""

    def published(self, progress: Progress) -> None:
        """A group with changes is appended."""

    def save(self, progress: Progress) -> None:
        """Write the checkpoint; LeaseLost where another capture has taken over."""


@dataclass(frozen=True, slots=True)
class Published:
    """A group that was appended."""

    kind: str
    table: str
    changes: int
    rows: int
    time_ms: int
    bytes: int = 0


class Relay:
    """Publishes one source to one spine, under one claim; after any error a new one must be made."""

    def __init__(
        self, source: Source, writer: Writer, progress: Progress, observe: Callable[[Published], None], epoch: int = 0
    ) -> None:
        self._source = source
        self._writer = writer
        self.progress = progress
        self._observe = observe
        self._epoch = epoch
        self.totals: dict[str, int] = {}  # rows of each table, about, once the copy has begun
        self.lease = 0

    def claim(self) -> None:
        """Take the lease and learn from the spine what was published; SourceRestored where it does not fit.

        An older copy of the source, and another source, are found out before they claim: else the right one would be
        deposed, or could not claim that lease.
        """
        self.lease = self._source.take_lease()
        peeked = self._writer.peek(self.progress.position)
        self._refuse_strange(peeked)
        self._source.go_on(fold(self.progress, peeked))
        headers = self._claim()
        self.progress = fold(self.progress, headers).at(self._writer.anchor)
        reached("claimed")
        self._source.go_on(self.progress)

    def _claim(self) -> list[Header]:
        try:
            headers = self._writer.claim(self.lease, self.progress.position)
        except LeaseLost as error:
            self._source.high()  # says so, if the source knows the other claim
            if self.progress.number == 0:
                raise BadInput(_USED, remedy=_OTHER_NAME) from error
            raise SourceRestored(f"{error.what}, which the source does not know of", remedy=_OLDER) from error
        self._refuse_strange(headers)
        return headers

    def _refuse_strange(self, headers: Iterable[Header]) -> None:
        if {header.incarnation for header in headers} - {self._source.incarnation}:
            raise BadInput(_USED, remedy=_OTHER_NAME)

    def publish_schema(self) -> None:
        """The first group: the tables with their census."""
        if self.progress.schema:
            return
        schema = self._source.census()
        self._append("schema", iter([wire.encode(schema)]), self.progress.seq, {"tables": len(schema.tables)})
        self.flush()

    def publish_chunk(self) -> bool:
        """The next chunk of the snapshot behind the changes before it; False when all tables are done."""
        table = None if self.progress.copied else self._next_table()
        if table is None:
            return False
        done = self.progress.tables.get(table, TableProgress())
        chunk, high = self._source.chunk(table, done.after)
        reached("snapshot-read")
        self._publish_changes(high)
        rows = done.rows + chunk.rows
        meta = {
            "table": table,
            "after": chunk.after,
            "done": chunk.done,
            "rows": rows,
            "total": self._total(table, rows, done=chunk.done),
        }
        self._append("snapshot", iter(chunk.pieces), self.progress.seq, meta)
        reached("snapshot-appended")
        self._observe(Published("snapshot", table, 0, chunk.rows, 0))
        return True

    def _next_table(self) -> str | None:
        done = self.progress.tables
        names = (table.name for table in self._source.schema.tables)
        return next((name for name in names if name not in done or not done[name].done), None)

    def _total(self, table: str, rows: int, *, done: bool) -> int:
        if not self.totals:
            self.totals = self._source.estimates()
        return rows if done else max(self.totals.get(table, 0), rows)

    def publish_copied(self) -> None:
        """The barrier behind the last chunk."""
        if not self.progress.copied:
            self._append("barrier", iter(()), self.progress.seq, {"purpose": "copied"})
            self.flush()
        self._source.copied = True

    def publish_alive(self) -> None:
        """A barrier without a purpose, so that the last group is never older than the log's retention."""
        self._append("barrier", iter(()), self.progress.seq, {"purpose": "alive"})
        self.flush()

    def publish_changes(self) -> bool:
        """All changes there are, as one group; False when there is none."""
        high = self._source.high()
        if high == self.progress.seq:
            return False
        self._publish_changes(high)
        self.flush()
        return True

    def publish_rest(self, attempt: str) -> Position:
        """All changes there are while writers are held, and the barrier behind them; returns the barrier's position."""
        self._publish_changes(self._source.high())
        self._append("barrier", iter(()), self.progress.seq, {"purpose": "handover", "attempt": attempt})
        return self.flush()

    def _publish_changes(self, high: int) -> None:
        seq = self.progress.seq
        if high <= seq:
            return
        reached("changes-read")
        meta = self._source.mark(high)
        pages = _Pages(self._source.changes(seq, high))
        self._append("changes", pages.pieces(), high, meta, first=seq + 1)
        self._source.published(self.progress)
        reached("changes-appended")
        self._observe(Published("changes", "", high - seq, 0, pages.time_ms, pages.bytes))

    def _append(
        self, kind: Kind, pieces: Iterator[bytes], seq: int, meta: Mapping[str, object], *, first: int | None = None
    ) -> None:
        first = seq + 1 if first is None else first
        position = self._writer.append(kind, pieces, epoch=self._epoch, first_seq=first, last_seq=seq, meta=meta)
        self.progress = self.progress.grown(kind, seq, meta, position)

    def flush(self) -> Position:
        """Wait until the log has everything; the position is then known with its offset."""
        position = self._writer.flush()
        self.progress = self.progress.at(position)
        reached("changes-flushed")
        return position

    def checkpoint(self) -> None:
        """Write to the source from where on the next claim has to read."""
        self.flush()
        self._source.save(self.progress)
        reached("checkpoint-written")


class _Pages:
    """Encodes pages of changes as they come, so that a large transaction never stands in memory."""

    def __init__(self, pages: Iterator[list[Change]]) -> None:
        self._pages = pages
        self.time_ms = 0
        self.bytes = 0

    def pieces(self) -> Iterator[bytes]:
        for number, page in enumerate(self._pages):
            if number:
                reached("changes-half-appended")
            self.time_ms = page[-1].time_ms if page else self.time_ms
            for piece in wire.encode_changes(page):
                self.bytes += len(piece)
                yield piece
