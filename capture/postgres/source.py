"""The PostgreSQL primary as the relay sees it; see ``queries`` for how the change log is read.

The spine numbers changes densely, and so does this: the first change behind ``progress.seq`` is the next number,
whatever ``seq`` PostgreSQL's own log gave it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

from msgspec import structs

from capture.postgres import queries
from capture.postgres.images import Images
from capture.postgres.losses import LOST, check_nothing_lost, grown
from capture.postgres.superseded import Entry, stand_ins
from capture.progress import Progress, decode_progress, encode_progress
from capture.sqlite.chunks import Chunk
from shared.errors import Hold, LeaseLost, Retry, SourceRestored, Stop
from shared.groups import Change
from shared.postgres.connection import connect, translated
from shared.postgres.guards import check_guards
from shared.postgres.ledger import read_ledger, read_source_schema
from shared.postgres.reverse import installed_numbers
from shared.postgres.shape import check_shape, kept_shape, read_shape
from shared.postgres.side import read_side
from shared.postgres.snapshots import Snapshot
from shared.tables import Schema

_PAGE_ROWS = 5_000
_PAGE_BYTES = 8_000_000
_RESTORED = "Was PostgreSQL restored from a backup? Bring the newer one back, or copy again"


class PostgresSource:
    """Implements capture.session.Source on a database that is the primary."""

    copied = True

    def __init__(self, dsn: str, stream: str) -> None:
        self._stream = stream
        self._db = connect(dsn, application_name=f"switchback-capture {stream}")
        with self._translated():
            side, schema = read_side(self._db, stream), read_source_schema(self._db, stream)
            ledger = read_ledger(self._db, stream)  # as it was when the file was the primary
            if side is None or schema is None or ledger is None:
                raise SourceRestored("PostgreSQL knows nothing of being the primary", remedy=_RESTORED)
            self._tables = self._known_tables(schema)
            self._shape = kept_shape(self._db, stream)
            self._check_shape()
        self.schema = schema
        self.incarnation, self.origin = side.incarnation, ledger.incarnation
        self.progress = decode_progress(side.checkpoint).opened_at(side.opened)
        self.holder = 0  # the process that holds the writers, 0 while nobody does
        self._checked = 0  # the holder under which the tables' shape was looked at
        self._lease = 0
        self._at = self.progress
        self._seen = Snapshot(1)  # by high()
        self._last = 0  # the highest xid of what it has counted, and the sum over that
        self._sum = 0
        self._saved = 0  # up to which change the checkpoint stands for what was published
        self._marks: list[tuple[int, Snapshot]] = []  # published seq, and the transactions that are in it

    def _known_tables(self, schema: Schema) -> dict[int, Images]:
        tables = schema.by_name
        return {
            number: Images(self._db, tables[name])
            for number, (name, columns) in installed_numbers(self._db, self._stream).items()
            if name in tables and tables[name].names == columns
        }

    def _check_shape(self) -> None:
        names = {images.name for images in self._tables.values()}
        with self._translated():
            check_shape(self._shape, read_shape(self._db), names)
            check_guards(self._db, self._stream, names)

    def take_lease(self) -> int:
        """Raise the lease in the database."""
        with self._translated():
            row = self._db.execute(queries.TAKE_LEASE, (self._stream,)).fetchone()
        if row is None:
            raise Retry("PostgreSQL was closed for the next epoch", where=f"stream {self._stream}")
        self._lease = int(row[0])
        return self._lease

    def go_on(self, progress: Progress) -> None:
        """Go on behind what was published."""
        self._at = progress
        self._look()
        self._compare()
        self._marks = [(progress.seq, self._at.published)]

    def high(self) -> int:
        """The number of the last change that is decided, in the spine's numbering."""
        if self.holder != self._checked:
            self._check_shape()  # the last time before the next epoch: nobody can change a table from here on
            self._checked = self.holder
        return self._at.seq + self._look()

    @property
    def _where(self) -> dict[str, Any]:
        return {
            "stream": self._stream,
            "lease": self._lease,
            "numbers": list(self._tables),
            "names": list(self.schema.by_name),
            "held": self.holder > 0,
            "holder": self.holder,
            **queries.beyond(self._at.published, self._at.floor),
        }

    def _look(self) -> int:
        """Everything is checked with each look: role, lease, and that the server did not go back."""
        with self._translated():
            row = self._db.execute(queries.LOOK, self._where).fetchone()
        if row is None:
            raise SourceRestored("PostgreSQL knows nothing of being the primary", remedy=_RESTORED)
        role, lease, snapshot, waiting, checks, last, locks, guarded = row
        seen, published = Snapshot.parse(snapshot), self._at.published
        if role != "primary":
            raise Retry("PostgreSQL was closed for the next epoch", where=f"stream {self._stream}")
        if lease > self._lease:
            what = f"another capture has taken over with lease {lease}"
            raise LeaseLost(what, where=f"stream {self._stream}", remedy="Run one capture a stream")
        if lease < self._lease or seen.end < published.end:
            what = f"PostgreSQL went back: lease {lease} of {self._lease}, transaction {seen.end} of {published.end}"
            raise SourceRestored(what, remedy=LOST)
        if not guarded:
            self._refuse_triggers()
        if self.holder and not locks:
            raise Retry("the session that held the writers was ended", where=f"process {self.holder}")
        self._seen, self._last, self._sum = seen, last, int(checks)
        return int(waiting)

    def _compare(self) -> None:
        with self._translated():
            self._at = check_nothing_lost(self._db, self._where, self._at)

    def _refuse_triggers(self) -> None:
        self._check_shape()
        raise Retry("Switchback's triggers are to be made anew", where=f"stream {self._stream}")

    def changes(self, after: int, upto: int) -> Iterator[list[Change]]:
        """The changes that ``high`` has counted, in pages; what its snapshot has never changes any more."""
        if after != self._at.seq:
            raise Stop(f"changes {after} to {upto} do not follow what was published", where=f"stream {self._stream}")
        with self._translated():
            self._db.execute("BEGIN READ ONLY")
            try:
                yield from self._pages(after, upto)
            finally:
                if not self._db.closed:
                    self._db.execute("ROLLBACK")

    def _pages(self, seq: int, upto: int) -> Iterator[list[Change]]:
        decided = {**self._where, "upto": str(self._seen.end), "seen": str(self._seen)}
        with self._db.cursor(name="changes") as cursor:
            cursor.execute(queries.PAGE, decided)
            batch = 100
            while rows := cursor.fetchmany(batch):
                yield self._page(rows, seq, decided)
                seq += len(rows)
                size = sum(sum(map(len, filter(None, row[3]))) for row in rows) + 1
                batch = max(1, min(_PAGE_ROWS, batch * 8, _PAGE_BYTES * len(rows) // size))
        if seq != upto:
            raise Retry("the change log has changed between two looks at it", where=f"stream {self._stream}")

    def _page(self, rows: Sequence[tuple[Any, ...]], seq: int, decided: dict[str, Any]) -> list[Change]:
        page: list[Change] = []
        unfit: dict[int, list[Entry]] = {}  # by table
        for number, op, ms, image, place in rows:
            seq += 1
            images = self._tables[number]
            values: tuple[Any, ...] = ()
            try:
                values = images.read(image)
            except Hold as trouble:
                unfit.setdefault(number, []).append(Entry(place, len(page), op, image, trouble))
            page.append(Change(images.name, op, seq, ms, values))
        return self._superseded(page, unfit, decided) if unfit else page

    def _superseded(
        self, page: Sequence[Change], unfit: dict[int, list[Entry]], decided: dict[str, Any]
    ) -> list[Change]:
        outcome: list[Change | None] = list(page)
        for number, entries in unfit.items():
            for entry, became in stand_ins(self._db, self._tables[number], entries, {**decided, "number": number}):
                change = outcome[entry.place]
                outcome[entry.place] = change and became and structs.replace(change, op=became[0], values=became[1])
        return [change for change in outcome if change]

    def mark(self, high: int) -> dict[str, object]:
        """From where the log is to be read on behind that change."""
        published = self._at.published.grown(self._seen, self._last)
        self._marks.append((high, published))
        check = grown(self._at.check, self._sum)
        return {"horizon": str(published.horizon), "snapshot": str(published), "check": check}

    def published(self, progress: Progress) -> None:
        """The group with the changes that were read is appended."""
        self._at = progress

    def save(self, progress: Progress) -> None:
        """Write the checkpoint under the lease; from then on it stands for what was published before."""
        self._compare()
        with self._translated():
            saved = self._db.execute(queries.SAVE, (encode_progress(progress), self._stream, self._lease)).rowcount
        if saved != 1:
            what = "another capture has taken over"
            raise LeaseLost(what, where=f"stream {self._stream}", remedy="Run one capture a stream")
        self._saved = progress.seq

    def prune(self, upto: int, limit: int) -> int:
        """Delete what was applied and is behind the checkpoint, where nobody compares it; returns how many went."""
        place = bisect_right(self._marks, min(upto, self._saved), key=lambda mark: mark[0])
        if not place:
            return 0
        self._marks = self._marks[place - 1 :]
        values = {"below": str(self._marks[0][1].horizon), "numbers": list(self._tables), "limit": limit}
        with self._translated():
            return self._db.execute(queries.PRUNE, values).rowcount

    def depth(self) -> tuple[int, int]:
        """How many changes the change log holds, and the number of the last one that is decided."""
        self._check_shape()
        with self._translated():
            row = self._db.execute(queries.DEPTH, (list(self._tables),)).fetchone()
        return (int(row[0]) if row else 0), self.high()

    def oldest_ms(self, after: int) -> int | None:
        """When the first change behind that one was committed, as far as marks tell: those applied lately may count."""
        place = bisect_right(self._marks, after, key=lambda mark: mark[0])
        behind = queries.beyond(self._marks[max(0, place - 1)][1], self._at.floor)
        with self._translated():
            row = self._db.execute(queries.OLDEST, {**self._where, **behind}).fetchone()
        return int(row[0]) if row else None

    def close(self) -> None:
        """Close the connection."""
        self._db.close()

    def chunk(self, table: str, after: str) -> tuple[Chunk, int]:
        """There is no copy in this direction."""
        raise self._no_copy(table, after)

    def census(self) -> Schema:
        """There is no copy in this direction."""
        raise self._no_copy()

    def estimates(self) -> dict[str, int]:
        """There is no copy in this direction."""
        raise self._no_copy()

    def _no_copy(self, *_given: object) -> Stop:
        return Stop("nothing is copied from PostgreSQL", where=f"stream {self._stream}")

    @staticmethod
    def _translated() -> AbstractContextManager[None]:
        return translated(where="the primary, PostgreSQL")
