"""Records in Debezium's envelope, as JSON: plain, or each with its schema as Kafka Connect's JsonConverter wants it.

Everything but a row's own values is put together once a table; the rest is a few joins a record.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from shared.metrics import product_version
from sink.topics.fields import Field

encode = msgspec.json.encode
NULL = b"null"
CONNECTOR = "switchback"


def _field(name: str, kind: str, *, optional: bool = False) -> dict[str, Any]:
    return {"type": kind, "optional": optional, "field": name}


_SOURCE = [
    _field("version", "string"),
    _field("connector", "string"),
    _field("name", "string"),
    _field("ts_ms", "int64"),
    _field("snapshot", "string", optional=True),
    _field("db", "string"),
    _field("table", "string"),
    _field("epoch", "int64"),
    _field("lease", "int64"),
    _field("group", "int64"),
    _field("seq", "int64", optional=True),
    _field("txId", "string", optional=True),
]
_TRANSACTION = [
    _field("id", "string"),
    _field("total_order", "int64"),
    _field("data_collection_order", "int64"),
]


class Origin(NamedTuple):
    """Where a record comes from: a change of the spine, or with ``seq`` 0 a row of the snapshot."""

    epoch: int
    lease: int
    group: int
    seq: int
    time_ms: int


class Order(NamedTuple):
    """A change's place in its transaction: among all, and among those of its table."""

    total: int
    of_table: int


class Envelope:
    """One table's records; ``embedded`` puts the schema into each."""

    def __init__(
        self, stream: str, table: str, fields: Sequence[Field], key: Sequence[Field], *, embedded: bool
    ) -> None:
        self.topic = f"{stream}.{table}"
        self._fields, self._key = [field.name for field in fields], [field.name for field in key]
        self._embedded = embedded
        self._who = b'{"version":%b,"connector":"%b","name":%b,"ts_ms":' % (
            encode(product_version()),
            CONNECTOR.encode(),
            encode(stream),
        )
        self._where = b'"db":%b,"table":%b,' % (encode(stream), encode(table))
        self._key_schema = encode(_struct(f"{self.topic}.Key", [field.schema for field in key]))
        self._value_schema = encode(_envelope_schema(self.topic, [field.schema for field in fields]))

    def key_record(self, values: Sequence[Any]) -> bytes:
        """A key, from the values of the key's columns."""
        payload = encode(dict(zip(self._key, values, strict=True)))
        return self._wrapped(payload, self._key_schema)

    def row(self, values: Sequence[Any]) -> bytes:
        """A row image as JSON."""
        return encode(dict(zip(self._fields, values, strict=True)))

    def record(  # noqa: PLR0913  (what an envelope holds)
        self, op: str, before: bytes, after: bytes, origin: Origin, order: Order | None, now_ms: int
    ) -> bytes:
        """A record's value; ``before`` and ``after`` are rows or NULL, ``op`` is one of c, u, d, r."""
        inside = NULL
        if order:
            inside = b'{"id":"%d:%d","total_order":%d,"data_collection_order":%d}' % (*origin[1:3], *order)
        parts = (before, after, self._source(origin), inside, op.encode(), now_ms)
        payload = b'{"before":%b,"after":%b,"source":%b,"transaction":%b,"op":"%b","ts_ms":%d}' % parts
        return self._wrapped(payload, self._value_schema)

    def _source(self, origin: Origin) -> bytes:
        epoch, lease, group, seq, time_ms = origin
        if not seq:
            rest = b'"snapshot":"true",%b"epoch":%d,"lease":%d,"group":%d,"seq":null,"txId":null}'
            return b"%b%d," % (self._who, time_ms) + rest % (self._where, epoch, lease, group)
        rest = b'"snapshot":"false",%b"epoch":%d,"lease":%d,"group":%d,"seq":%d,"txId":"%d:%d"}'
        return b"%b%d," % (self._who, time_ms) + rest % (self._where, epoch, lease, group, seq, lease, group)

    def _wrapped(self, payload: bytes, schema: bytes) -> bytes:
        return b'{"schema":%b,"payload":%b}' % (schema, payload) if self._embedded else payload


def _struct(name: str, fields: Sequence[dict[str, Any]], **more: Any) -> dict[str, Any]:  # noqa: ANN401
    return {"type": "struct", "fields": fields, "optional": False, "name": name, **more}


def _envelope_schema(topic: str, columns: Sequence[dict[str, Any]]) -> dict[str, Any]:
    row = {**_struct(f"{topic}.Value", columns), "optional": True}
    fields = [
        {**row, "field": "before"},
        {**row, "field": "after"},
        _struct("io.switchback.Source", _SOURCE, field="source"),
        {**_struct("event.block", _TRANSACTION, version=1), "optional": True, "field": "transaction"},
        _field("op", "string"),
        _field("ts_ms", "int64", optional=True),
    ]
    return _struct(f"{topic}.Envelope", fields, version=2)
