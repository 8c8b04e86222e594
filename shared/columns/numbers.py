"""Numbers whose storage class SQLite decides value by value, and columns that hold a bit of everything.

A column of INTEGER or NUMERIC affinity stores an integral number as INTEGER if it fits 64 bits and as
REAL otherwise (https://www.sqlite.org/datatype3.html#type_affinity); so its numbers keep their
class on the way back without being marked.
"""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

from shared import wire
from shared.columns.codec import Codec
from shared.columns.plain import BYTEA, TEXT
from shared.groups import RawText

NUMERIC = 1700
_INT64 = range(-(2**63), 2**63)


def _to_decimal(value: float) -> Decimal:
    if isinstance(value, int):
        return Decimal(value)
    if not math.isfinite(value):
        message = "infinite REAL, which numeric does not keep"
        raise ValueError(message)
    number = Decimal(repr(value))
    if number == number.to_integral_value() and int(number) in _INT64:
        message = "integral REAL, which would come back as INTEGER"
        raise ValueError(message)
    return number


def _from_decimal(number: Decimal) -> int | float:
    if number == number.to_integral_value() and int(number) in _INT64:
        return int(number)
    return float(number)


class Scaled:
    """Numbers of numeric(p, s): what PostgreSQL would round or refuse is unfit."""

    def __init__(self, precision: int, scale: int) -> None:
        self._step = Decimal(1).scaleb(-scale)
        self._limit = Decimal(10) ** (precision - scale)

    def __call__(self, value: float) -> Decimal:
        """The number, if it fits exactly."""
        number = _to_decimal(value)
        if abs(number) >= self._limit or number % self._step:
            message = "number that the precision or scale of the column would change"
            raise ValueError(message)
        return number


DECIMAL = Codec("numeric", NUMERIC, (int, float), _to_decimal, _from_decimal)


def scaled_decimal(precision: int, scale: int) -> Codec:
    """``numeric(p, s)``."""
    return Codec("numeric(p, s)", NUMERIC, (int, float), Scaled(precision, scale), _from_decimal)


def _to_any(value: float | str) -> str:
    if not isinstance(value, str):
        return repr(value)
    if "\0" in value:
        message = "TEXT with NUL, which PostgreSQL cannot keep"
        raise ValueError(message)
    if type(_from_any(value)) is not str:
        message = "TEXT that reads like a number in a column that holds numbers too"
        raise ValueError(message)
    return value


def _from_any(text: str) -> int | float | str:
    try:
        if repr(number := int(text)) == text and number in _INT64:
            return number
    except ValueError:
        pass
    try:
        if repr(real := float(text)) == text and text != "nan":
            return real
    except ValueError:
        pass
    return text


ANY_TEXT = Codec("text for any number or text", TEXT, (int, float, str), _to_any, _from_any)


def _unpack(packed: bytes) -> Any:  # noqa: ANN401  (any value)
    return wire.decode_any(bytes(packed))


PACKED = Codec("bytea for any value", BYTEA, (int, float, str, bytes, RawText), wire.encode, _unpack)
"""The last resort, for a column that mixes blobs with other classes: MessagePack in a bytea."""


def _from_text(value: str | RawText) -> bytes:
    return value.encode() if isinstance(value, str) else value.raw


def _to_text(raw: bytes) -> str | RawText:
    try:
        return bytes(raw).decode()
    except UnicodeDecodeError:
        return RawText(bytes(raw))


TEXT_BYTES = Codec("bytea for texts of any bytes", BYTEA, (str, RawText), _from_text, _to_text)
