"""The schemas of Kafka Connect that records carry with ``topics_format = schema``.  Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sink.topics.fields import Field

Schema = dict[str, Any]
_SNAPSHOT = {"allowed": "true,first,first_in_data_collection,last_in_data_collection,last,false,incremental"}


def key_schema(topic: str, fields: Sequence[Field]) -> Schema:
    """The key: a struct of the key's columns."""
    return _struct([field.schema(optional=False) for field in fields], f"{topic}.Key", optional=False)


def envelope_schema(topic: str, fields: Sequence[Field], key: Collection[str]) -> Schema:
    """Debezium's envelope.

    All but the key is optional: a NOT NULL may be dropped, and a row that is gone may be known by its key alone.
    """
    columns = [field.schema(optional=field.name not in key) for field in fields]
    row = _struct(columns, f"{topic}.Value", optional=True)
    parts = [
        {**row, "field": "before"},
        {**row, "field": "after"},
        _SOURCE,
        _of("string", "op", optional=False),
        _of("int64", "ts_ms"),
        _TRANSACTION,
    ]
    return {**_struct(parts, f"{topic}.Envelope", optional=False), "version": 2}


def _struct(fields: list[Schema], name: str, *, optional: bool) -> Schema:
    return {"type": "struct", "fields": fields, "optional": optional, "name": name}


def _of(kind: str, field: str, *, optional: bool = True) -> Schema:
    return {"type": kind, "optional": optional, "field": field}


_SOURCE: Schema = {
    **_struct(
        [
            _of("string", "version", optional=False),
            _of("string", "connector", optional=False),
            _of("string", "name", optional=False),
            _of("int64", "ts_ms", optional=False),
            {
                **_of("string", "snapshot"),
                "name": "io.debezium.data.Enum",
                "version": 1,
                "parameters": _SNAPSHOT,
                "default": "false",
            },
            _of("string", "db", optional=False),
            _of("string", "table", optional=False),
            _of("int64", "lease", optional=False),
            _of("int64", "group", optional=False),
            _of("int64", "epoch", optional=False),
            _of("int64", "seq"),
            _of("string", "txId"),
        ],
        "io.debezium.connector.switchback.Source",
        optional=False,
    ),
    "field": "source",
}
_TRANSACTION: Schema = {
    **_struct(
        [
            _of("string", "id", optional=False),
            _of("int64", "total_order", optional=False),
            _of("int64", "data_collection_order", optional=False),
        ],
        "event.block",
        optional=True,
    ),
    "version": 1,
    "field": "transaction",
}
