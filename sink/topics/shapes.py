"""One table's records: Debezium's key and envelope as JSON, with or without the schema of Kafka Connect.

The schema is the same in each of a topic's records, so it is encoded once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from shared.columns import Unfit
from shared.errors import Hold
from shared.groups import Value
from shared.tables import Table
from sink.topics.fields import Decimals, Field, field_of
from sink.topics.schemas import envelope_schema, key_schema

_encode = msgspec.json.Encoder().encode
_SHOWN = 60

Row = dict[str, Any]


class Wanted(NamedTuple):
    """How the records are to look."""

    embedded: bool
    decimals: Decimals
    types: dict[str, str]


class Shape:
    """One table: from row images to the bytes of keys and values."""

    def __init__(self, table: Table, topic: str, wanted: Wanted) -> None:
        self.table = table
        self.topic = topic
        types, decimals = wanted.types, wanted.decimals
        self.fields = [field_of(table, c, types.get(f"{table.name}.{c.name}"), decimals) for c in table.columns]
        self._names = table.names
        self._keys = table.key
        self._key_head = self._value_head = b""
        self._tail = b""
        self._embedded = wanted.embedded
        if wanted.embedded:
            keys = [self.fields[place] for place in table.key_places]
            self._key_head = _head(key_schema(topic, keys))
            self._value_head = _head(envelope_schema(topic, self.fields, table.key))
            self._tail = b"}"

    def rows(self, columns: Sequence[Sequence[Value]], *, gone: Sequence[bool] = ()) -> list[Row]:
        """Rows given column by column; Hold names the value that its field cannot say.

        Of a row that is ``gone`` only the key must fit: another value that does not is left out.
        """
        read = [self._read(field, values, columns, gone) for field, values in zip(self.fields, columns, strict=True)]
        names = self._names
        return [dict(zip(names, row, strict=True)) for row in zip(*read, strict=True)]

    def _read(
        self,
        field: Field,
        values: Sequence[Value],
        columns: Sequence[Sequence[Value]],
        gone: Sequence[bool],
    ) -> Sequence[Any]:
        values = list(values)
        while True:
            try:
                return field.read(values)
            except Unfit as unfit:
                if not (gone and gone[unfit.index]) or field.name in self._keys:
                    raise self._hold(field, [columns[n][unfit.index] for n in self.table.key_places], unfit) from unfit
                values[unfit.index] = None

    def _hold(self, field: Field, key: Sequence[Value], unfit: Unfit) -> Hold:
        shown = ", ".join(repr(part)[:_SHOWN] for part in key)
        name = f"{self.table.name}.{field.name}"
        what = f"a value does not fit its topic's schema: {unfit.reason}"
        remedy = (
            f'Set types."{name}" to a wider type (text takes any value) and start switchback-topics again: '
            "the topic's schema changes there. Nothing is lost, and the migration does not wait for it"
        )
        return Hold(what, where=f"table {self.table.name}, key {shown}, column {field.name}", remedy=remedy)

    def key(self, row: Row) -> bytes:
        """A record's key; Hold where the row has NULL there, which no key can say."""
        found = {name: row[name] for name in self._keys}
        if None in found.values():
            where = f"table {self.table.name}, key {', '.join(self._keys)}"
            raise Hold("a key holds NULL", where=where, remedy="Give the row a whole key, or leave the table out")
        return self._key_head + _encode(found) + self._tail

    def key_header(self, row: Row) -> bytes:
        """The key as Debezium's headers of a changed key have it: JSON, or as Kafka Connect shows a struct.

        Connect's own reader of headers fails at JSON with values of several types, and with it Debezium's JDBC sink.
        """
        if not self._embedded:
            return self.key(row)
        shown = ",".join(f"{name}={row[name]}" for name in self._keys)
        return f"Struct{{{shown}}}".encode()

    def value(self, envelope: Row) -> bytes:
        """A record's value."""
        return self._value_head + _encode(envelope) + self._tail


def _head(schema: Row) -> bytes:
    return b'{"schema":' + _encode(schema) + b',"payload":'
