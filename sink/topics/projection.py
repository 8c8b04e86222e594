"""From a group of the spine to the records of the table topics.  Pure but for the clock that is handed in.

A record's *place* in its topic is the group's number, the change's index in the group and the part: the group's numbers
are dense and no accepted group's number is ever given again, so places only grow, and the last one in a topic says
exactly what was sent.  A delete has two parts, the event and its tombstone, whether tombstones are wanted or not: so
a setting that changes between two starts moves no place.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, pairwise
from typing import Any, NamedTuple

from shared import wire
from shared.errors import Stop
from shared.groups import Change, Header
from shared.product import product_version
from sink.topics.gathering import Group
from sink.topics.shapes import Row, Shape

CONNECTOR = "switchback"
_VERSION = product_version()
NEW_KEY, OLD_KEY = "__debezium.newkey", "__debezium.oldkey"
_EVENT, _TOMBSTONE = 0, 1


class Place(NamedTuple):
    """Where a record stands in the history."""

    number: int = 0
    change: int = -1
    part: int = _EVENT


class Outgoing(NamedTuple):
    """A record to be sent; ``time_ms`` is its change's commit, 0 for a snapshot's row; ``headers`` are Debezium's."""

    topic: str
    key: bytes
    value: bytes | None
    place: Place
    time_ms: int = 0
    headers: Sequence[tuple[str, bytes]] = ()


class Projection:
    """Knows the tables; ``now_ms`` says when a record is made."""

    def __init__(
        self, shapes: Mapping[str, Shape], *, name: str, db: str, tombstones: bool, now_ms: Callable[[], int]
    ) -> None:
        self._shapes = shapes
        self._source = {"version": _VERSION, "connector": CONNECTOR, "name": name}
        self._db = db
        self._tombstones = tombstones
        self._now_ms = now_ms

    def records(self, group: Group) -> Iterator[Outgoing]:
        """The group's records in their order; a barrier has none."""
        if group.header.kind == "changes":
            yield from self._changed(group)
        elif group.header.kind == "snapshot":
            yield from self._copied(group)

    def _copied(self, group: Group) -> Iterator[Outgoing]:
        header, index, now = group.header, 0, self._now_ms()
        for rows in map(wire.decode_rows, group.pieces):
            shape = self._shape(rows.table)
            origin = self._origin(header, rows.table) | {"ts_ms": now, "snapshot": "true", "seq": None, "txId": None}
            for row in shape.rows(rows.columns):
                value = _envelope(None, row, origin, "r", now, None)
                yield Outgoing(shape.topic, shape.key(row), shape.value(value), Place(header.number, index))
                index += 1

    def _changed(self, group: Group) -> Iterator[Outgoing]:
        header, now, orders, old_key = group.header, self._now_ms(), Counter[str](), b""
        txid = str(header.number)
        origins = {name: self._origin(header, name) for name in self._shapes}
        read = chain(self._read(group.pieces), [None])
        for index, (one, following) in enumerate(pairwise(read)):
            assert one
            change, row = one
            shape, table = self._shapes[change.table], change.table
            key, gone = shape.key(row), change.op in "dk"
            orders[table] += 1
            order = {"id": txid, "total_order": index + 1, "data_collection_order": orders[table]}
            origin = origins[table] | {"ts_ms": change.time_ms, "snapshot": "false", "seq": change.seq, "txId": txid}
            op = "d" if gone else change.op
            value = _envelope(row if gone else None, None if gone else row, origin, op, now, order)
            headers: list[tuple[str, bytes]] = [(OLD_KEY, old_key)] if old_key else []
            old_key = b""
            if change.op == "k" and following and following[0].op == "c" and following[0].table == table:
                headers.append((NEW_KEY, shape.key_header(following[1])))
                old_key = shape.key_header(row)
            place = Place(header.number, index)
            yield Outgoing(shape.topic, key, shape.value(value), place, change.time_ms, headers)
            if gone and self._tombstones:
                yield Outgoing(shape.topic, key, None, place._replace(part=_TOMBSTONE), change.time_ms)

    def _read(self, pieces: Iterable[bytes]) -> Iterator[tuple[Change, Row]]:
        """The changes with their rows; a piece's values are read column by column, which is quicker."""
        for changes in map(wire.decode_changes, pieces):
            by_table: dict[str, list[Change]] = {}
            for change in changes:
                by_table.setdefault(change.table, []).append(change)
            rows = {name: iter(self._rows(name, some)) for name, some in by_table.items()}
            for change in changes:
                yield change, next(rows[change.table])

    def _rows(self, table: str, changes: Sequence[Change]) -> list[Row]:
        columns = list(zip(*(change.values for change in changes), strict=True))
        return self._shape(table).rows(columns, gone=[change.op in "dk" for change in changes])

    def _shape(self, table: str) -> Shape:
        if table in self._shapes:
            return self._shapes[table]
        raise Stop("the log brings rows before any schema", where=f"table {table}", remedy="Its beginning is missing")

    def _origin(self, header: Header, table: str) -> dict[str, Any]:
        where = {"db": self._db, "table": table}
        return self._source | where | {"lease": header.lease, "group": header.number, "epoch": header.epoch}


def _envelope(  # noqa: PLR0913  (the parts that an envelope has)
    before: Row | None, after: Row | None, origin: Row, op: str, now: int, order: Row | None
) -> Row:
    return {"before": before, "after": after, "source": origin, "op": op, "ts_ms": now, "transaction": order}
