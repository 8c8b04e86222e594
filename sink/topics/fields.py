"""A column as a field of a record: its Connect type, true of every value, and the way there.

The PostgreSQL type that the column would get decides, and the same codec checks each value: a value that the type
does not keep is never bent into it.  Debezium's names for the semantic types are those that its JDBC sink knows.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from msgspec.structs import replace

from shared.columns import Codec, Unfit, choose_type, codec_for
from shared.columns.pg_types import parse_type
from shared.tables import Column, Table

Form = Callable[[Any], Any]
"""From what the codec gives to what JSON holds; ValueError with the reason where the type cannot say it."""

_DECIMAL = re.compile(r"(?:DECIMAL|DEC|NUMERIC)\s*\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\)", re.IGNORECASE)
_SMALL = re.compile(r"\s*(?:TINYINT|SMALLINT|INT2)\b", re.IGNORECASE)
_SMALLEST, _LARGEST = -(2**15), 2**15 - 1
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  (of times without a zone)
_FIRST_DAY = date(1970, 1, 1).toordinal()
_MICROS = 1_000_000


@dataclass(frozen=True, slots=True)
class Field:
    """``schema`` is the field's in Connect's JSON; ``form`` is None where the codec's values go as they are."""

    name: str
    schema: dict[str, Any]
    codec: Codec
    form: Form | None

    def convert(self, values: Sequence[Any]) -> Sequence[Any]:
        """Many values as JSON holds them; raises Unfit for one that the type cannot say."""
        given = self.codec.to_postgres_column(values)
        form = self.form
        if form is None:
            return given
        try:
            return [None if value is None else form(value) for value in given]
        except ValueError:
            self._reject(given, form)
            raise

    def _reject(self, given: Sequence[Any], form: Form) -> None:
        for index, value in enumerate(given):
            try:
                if value is not None:
                    form(value)
            except ValueError as error:
                raise Unfit(index, str(error)) from error


def field_of(table: Table, column: Column, *, as_text: bool = False, override: str | None = None) -> Field:
    """How a column travels; ``as_text`` carries whatever comes as text, ``override`` is a PostgreSQL type."""
    pg_type = "text" if as_text else choose_type(table, column, override)
    codec = codec_for(_anything(column) if as_text else column, pg_type)
    kind, form = _kind(column, pg_type)
    schema = {**kind, "optional": column.name not in table.key, "field": column.name}
    return Field(column.name, schema, codec, form)


def _anything(column: Column) -> Column:
    """The column as one that holds values of all classes."""
    return replace(column, census=replace(column.census, blobs=1, texts=1, integers=1))


def _kind(column: Column, pg_type: str) -> tuple[dict[str, Any], Form | None]:
    parsed = parse_type(pg_type)
    if parsed.base == "numeric":
        return _decimal(column, parsed.sizes)
    if parsed.base in ("bigint", "integer", "smallint"):
        return {"type": "int16" if _is_small(column) else "int64"}, _int16 if _is_small(column) else None
    if parsed.base in _KINDS:
        return _KINDS[parsed.base]
    return {"type": "string"}, None


def _is_small(column: Column) -> bool:
    low, high = column.census.min_integer or 0, column.census.max_integer or 0
    return bool(_SMALL.match(column.declared)) and low >= _SMALLEST and high <= _LARGEST


def _int16(value: int) -> int:
    if not _SMALLEST <= value <= _LARGEST:
        message = "an INTEGER of more than 16 bits where the declared type says so many"
        raise ValueError(message)
    return value


def _decimal(column: Column, sizes: Sequence[int]) -> tuple[dict[str, Any], Form | None]:
    """With a declared scale as Connect's Decimal, else as digits."""
    found = _DECIMAL.search(column.declared)
    if sizes:
        precision, scale = sizes[0], sizes[1] if len(sizes) > 1 else 0
    elif found:
        precision, scale = int(found[1]), int(found[2] or 0)
    else:
        return {"type": "string"}, _digits
    named = {"type": "bytes", "name": "org.apache.kafka.connect.data.Decimal", "version": 1}
    parameters = {"scale": str(scale), "connect.decimal.precision": str(precision)}
    return {**named, "parameters": parameters}, lambda number: _unscaled(number, scale)


def _digits(number: Decimal) -> str:
    if not number.is_finite():
        message = "a number that is not finite"
        raise ValueError(message)
    return format(number.normalize() + 0, "f")


def _unscaled(number: Decimal, scale: int) -> bytes:
    if not number.is_finite():
        message = "a number that is not finite"
        raise ValueError(message)
    shifted = number.scaleb(scale)
    whole = int(shifted)
    if whole != shifted:
        message = f"a number with more than {scale} digits behind the point"
        raise ValueError(message)
    return whole.to_bytes(whole.bit_length() // 8 + 1, "big", signed=True)


def _finite(value: float) -> float:
    if not math.isfinite(value):
        message = "a REAL that is not finite, which JSON cannot say"
        raise ValueError(message)
    return value


def _days(day: date) -> int:
    return day.toordinal() - _FIRST_DAY


def _micros(moment: datetime) -> int:
    passed = moment - _EPOCH
    return (passed.days * 86_400 + passed.seconds) * _MICROS + passed.microseconds


def _zoned(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _clock(moment: Any) -> int:  # noqa: ANN401  (a time)
    return int(((moment.hour * 60 + moment.minute) * 60 + moment.second) * _MICROS + moment.microsecond)


def _wrapped(value: Any) -> str:  # noqa: ANN401  (psycopg's Jsonb)
    return str(value.obj)


_D = "io.debezium.time."
_KINDS: dict[str, tuple[dict[str, Any], Form | None]] = {
    "boolean": ({"type": "boolean"}, None),
    "double precision": ({"type": "double"}, _finite),
    "real": ({"type": "double"}, _finite),
    "bytea": ({"type": "bytes"}, None),
    "date": ({"type": "int32", "name": f"{_D}Date", "version": 1}, _days),
    "time": ({"type": "int64", "name": f"{_D}MicroTime", "version": 1}, _clock),
    "timestamp": ({"type": "int64", "name": f"{_D}MicroTimestamp", "version": 1}, _micros),
    "timestamptz": ({"type": "string", "name": f"{_D}ZonedTimestamp", "version": 1}, _zoned),
    "uuid": ({"type": "string", "name": "io.debezium.data.Uuid", "version": 1}, str),
    "json": ({"type": "string", "name": "io.debezium.data.Json", "version": 1}, None),
    "jsonb": ({"type": "string", "name": "io.debezium.data.Json", "version": 1}, _wrapped),
}
