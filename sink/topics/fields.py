"""A column as a field of Kafka Connect: its type, and its values as JSON has them.

A column's PostgreSQL type is the one that Switchback chooses for a table that it creates (``shared.columns``,
setting ``types`` included), and the field's type follows from that: so every value that the codec lets through is
true of the schema, and what it does not is Unfit, never silently something else.  JSON has no NaN and no Infinity.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any, Literal

from shared.columns import Codec, Unfit, choose_type, codec_for
from shared.columns.pg_types import parse_type
from shared.errors import BadInput
from shared.tables import Column, Table

Decimals = Literal["string", "double"]
Convert = Callable[[Any], Any]

_EPOCH_DAY = date(1970, 1, 1).toordinal()
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  (PostgreSQL's timestamp has no zone either)
_EXACT_IN_DOUBLE = 2**53


def _finite(value: float) -> float:
    if math.isfinite(value):
        return value
    raise ValueError("infinite REAL, which JSON cannot say")


def _digits(value: Decimal) -> str:
    return format(value, "f")


def _double(value: Decimal) -> float:
    if abs(value) <= _EXACT_IN_DOUBLE or float(value) == value:
        return float(value)
    raise ValueError("number that a double would change")


def _days(value: date) -> int:
    return value.toordinal() - _EPOCH_DAY


def _micros(value: datetime) -> int:
    since = value - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def _zoned(value: datetime) -> str:
    return value.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"


def _clock(value: time) -> int:
    return ((value.hour * 60 + value.minute) * 60 + value.second) * 1_000_000 + value.microsecond


def _text(value: Any) -> str:  # noqa: ANN401  (a text, or psycopg's wrapper around one)
    return value if isinstance(value, str) else str(value.obj)


_TIMES, _DATA = "io.debezium.time.", "io.debezium.data."
_TYPES: dict[str, tuple[str, str, Convert | None]] = {
    "boolean": ("boolean", "", None),
    "smallint": ("int16", "", None),
    "integer": ("int32", "", None),
    "bigint": ("int64", "", None),
    "real": ("float", "", _finite),
    "double precision": ("double", "", _finite),
    "bytea": ("bytes", "", None),
    "date": ("int32", f"{_TIMES}Date", _days),
    "time": ("int64", f"{_TIMES}MicroTime", _clock),
    "timestamp": ("int64", f"{_TIMES}MicroTimestamp", _micros),
    "timestamptz": ("string", f"{_TIMES}ZonedTimestamp", _zoned),
    "uuid": ("string", f"{_DATA}Uuid", str),
    "json": ("string", f"{_DATA}Json", _text),
    "jsonb": ("string", f"{_DATA}Json", _text),
}
_PLAIN: tuple[str, str, Convert | None] = ("string", "", None)
_DECIMALS: dict[Decimals, tuple[str, str, Convert | None]] = {
    "string": ("string", "", _digits),
    "double": ("double", "", _double),
}


@dataclass(frozen=True, slots=True)
class Field:
    """One column: Connect's type, the semantic type's name ("" for none), and how a value gets there."""

    name: str
    type: str
    semantic: str
    codec: Codec
    convert: Convert | None

    def schema(self, *, optional: bool) -> dict[str, Any]:
        """The field as Kafka Connect's JsonConverter writes it."""
        plain: dict[str, Any] = {"type": self.type, "optional": optional}
        if self.semantic:
            plain |= {"name": self.semantic, "version": 1}
        return {**plain, "field": self.name}

    def read(self, values: Sequence[Any]) -> Sequence[Any]:
        """SQLite's values as JSON will have them; Unfit for one that the field's type cannot say."""
        kept = self.codec.to_postgres_column(values)
        convert = self.convert
        if convert is None:
            return kept
        try:
            return [None if value is None else convert(value) for value in kept]
        except ValueError:
            self._reject(kept)
            raise

    def _reject(self, kept: Sequence[Any]) -> None:
        assert self.convert
        for place, value in enumerate(kept):
            try:
                if value is not None:
                    self.convert(value)
            except ValueError as error:
                raise Unfit(place, str(error)) from error


def field_of(table: Table, column: Column, override: str | None, decimals: Decimals) -> Field:
    """The column's field; an override that names a type of somebody's own counts for nothing here."""
    pg_type = choose_type(table, column, override)
    try:
        codec = codec_for(column, pg_type)
    except BadInput:
        pg_type = choose_type(table, column)
        codec = codec_for(column, pg_type)
    base = parse_type(pg_type).base
    kind, semantic, convert = _DECIMALS[decimals] if base == "numeric" else _TYPES.get(base, _PLAIN)
    return Field(column.name, kind, semantic, codec, convert)
