"""From the spine's groups to records, the same at every run: which record is the n-th of a group never changes.

That is what makes the topics exact: each record says in its headers which one it is, and a program that starts
again skips what the topic's last record tells it.  Pure, but for the clock that it is given.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

from shared.columns import Unfit
from shared.errors import Hold
from shared.groups import Change, Header, Rows
from shared.tables import Schema, Table
from sink.topics.envelope import NULL, Envelope, Order, Origin
from sink.topics.fields import field_of

_PAGE = 2_000
OLD_KEY, NEW_KEY = "__debezium.oldkey", "__debezium.newkey"


class Record(NamedTuple):
    """One record of a topic.

    ``place`` grows within the group; a tombstone's is odd, so that places are the same with and without tombstones.
    """

    topic: str
    place: int
    key: bytes
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()


class Shown(NamedTuple):
    """How tables are shown: records with their schema, deletes with a tombstone, columns that go as text."""

    embedded: bool = False
    tombstones: bool = True
    as_text: frozenset[str] = frozenset()
    types: Mapping[str, str] = {}


_PLAIN = Shown()


class _TableRecords:
    """One table's rows as JSON."""

    def __init__(self, stream: str, table: Table, shown: Shown) -> None:
        self.table = table
        self.fields = [
            field_of(
                table,
                column,
                as_text=f"{table.name}.{column.name}" in shown.as_text,
                override=shown.types.get(f"{table.name}.{column.name}"),
            )
            for column in table.columns
        ]
        self.places = table.key_places
        key = [self.fields[place] for place in self.places]
        self.envelope = Envelope(stream, table.name, self.fields, key, embedded=shown.embedded)

    def convert(self, columns: Sequence[Sequence[Any]]) -> Iterator[tuple[Any, ...]]:
        """Rows, from columns; Hold names the value that its field cannot say."""
        converted = []
        for field, values in zip(self.fields, columns, strict=True):
            try:
                converted.append(field.convert(values))
            except Unfit as unfit:
                raise self._hold(field.name, [columns[place][unfit.index] for place in self.places], unfit) from unfit
        return zip(*converted, strict=True)

    def _hold(self, column: str, key: Sequence[Any], unfit: Unfit) -> Hold:
        shown = ", ".join(f"{name}={value!r:.60}" for name, value in zip(self.table.key, key, strict=True))
        where = f"topic {self.envelope.topic}, column {column}, key {shown}"
        remedy = f'To carry the column as text from here on: topics_as_text = ["{self.table.name}.{column}"]'
        return Hold(f"the column's type cannot say this value: {unfit.reason}", where=where, remedy=remedy)

    def key_of(self, row: Sequence[Any]) -> bytes:
        return self.envelope.key_record([row[place] for place in self.places])


class Projection:
    """Of one stream with one schema."""

    def __init__(
        self,
        stream: str,
        schema: Schema,
        shown: Shown = _PLAIN,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._tables = {table.name: _TableRecords(stream, table, shown) for table in schema.tables}
        self._tombstones = shown.tombstones
        self._clock = clock

    @property
    def topics(self) -> list[str]:
        """All topics."""
        return [table.envelope.topic for table in self._tables.values()]

    def rows(self, header: Header, pieces: Iterable[Rows]) -> Iterator[Record]:
        """A snapshot chunk's records."""
        place, now = 0, self._now
        for piece in pieces:
            table = self._tables[piece.table]
            origin = Origin(header.epoch, header.lease, header.number, 0, now)
            for row in table.convert(piece.columns):
                value = table.envelope.record("r", NULL, table.envelope.row(row), origin, None, now)
                yield Record(table.envelope.topic, place, table.key_of(row), value)
                place += 2

    def changes(self, header: Header, changes: Iterable[Change]) -> Iterator[Record]:
        """A group of changes' records; the group is the transaction."""
        counted = _Counted(header, self._now)
        coming = iter(changes)
        while page := list(islice(coming, _PAGE)):
            if page[-1].op == "k":  # the row under its new key follows
                page += islice(coming, 1)
            yield from self._page(counted, page)

    def _page(self, counted: _Counted, page: Sequence[Change]) -> Iterator[Record]:
        images: dict[str, list[Sequence[Any]]] = {}
        for change in page:
            images.setdefault(change.table, []).append(change.values)
        rows = {name: self._tables[name].convert(list(zip(*values, strict=True))) for name, values in images.items()}
        ready = [(change, next(rows[change.table])) for change in page]
        for place, (change, row) in enumerate(ready):
            after = ready[place + 1][1] if change.op == "k" else None
            old = ready[place - 1][1] if place and ready[place - 1][0].op == "k" else None
            yield from self._records(counted, change, row, after, old)

    def _records(
        self,
        counted: _Counted,
        change: Change,
        row: Sequence[Any],
        after: Sequence[Any] | None,
        old: Sequence[Any] | None,
    ) -> Iterator[Record]:
        """``after`` is the row under its new key, ``old`` the one that was under the old key."""
        table = self._tables[change.table]
        envelope, key = table.envelope, table.key_of(row)
        image, gone = envelope.row(row), change.op in "dk"
        before, now = (image, NULL) if gone else (NULL, image)
        origin, order = counted.origin(change), counted.order(change.table)
        headers = []
        if after is not None:
            headers = [(NEW_KEY, table.key_of(after))]
        if old is not None:
            headers = [(OLD_KEY, table.key_of(old))]
        value = envelope.record("d" if gone else change.op, before, now, origin, order, counted.now_ms)
        yield Record(envelope.topic, 2 * order.total, key, value, headers)
        if gone and self._tombstones:
            yield Record(envelope.topic, 2 * order.total + 1, key, None)

    @property
    def _now(self) -> int:
        return int(self._clock() * 1000)


class _Counted:
    """What is counted over a group."""

    def __init__(self, header: Header, now_ms: int) -> None:
        self.now_ms = now_ms
        self._header = header
        self._total = 0
        self._of_table: dict[str, int] = {}

    def order(self, table: str) -> Order:
        self._total += 1
        self._of_table[table] = self._of_table.get(table, 0) + 1
        return Order(self._total, self._of_table[table])

    def origin(self, change: Change) -> Origin:
        header = self._header
        return Origin(header.epoch, header.lease, header.number, change.seq, change.time_ms)
