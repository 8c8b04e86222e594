"""Values that both databases write alike: integers, floats, texts, blobs; and 0/1 as boolean."""

from __future__ import annotations

from dataclasses import dataclass

from shared.columns.codec import Codec

BOOL, BYTEA, INT8, INT2, INT4, TEXT, FLOAT4, FLOAT8 = 16, 17, 20, 21, 23, 25, 700, 701

_NUL = "TEXT with NUL, which PostgreSQL cannot keep"


def _storable(text: str) -> str:
    if "\0" in text:
        raise ValueError(_NUL)
    return text


@dataclass(frozen=True, slots=True)
class Within:
    """Integers of a smaller type."""

    bits: int

    def __call__(self, value: int) -> int:
        """The value, if it fits."""
        if -(1 << (self.bits - 1)) <= value < 1 << (self.bits - 1):
            return value
        message = f"INTEGER of more than {self.bits} bits"
        raise ValueError(message)


@dataclass(frozen=True, slots=True)
class Short:
    """Texts of at most so many characters; ``padded`` ones lose trailing spaces."""

    length: int
    padded: bool = False

    def __call__(self, text: str) -> str:
        """The text, if it fits."""
        if len(text) > self.length:
            message = f"TEXT of {len(text)} characters where {self.length} are allowed"
            raise ValueError(message)
        if self.padded and len(text) != self.length:
            message = "TEXT that the padding of char(n) would change"
            raise ValueError(message)
        return _storable(text)


def _to_bool(value: int) -> bool:
    if value in (0, 1):
        return bool(value)
    message = "INTEGER other than 0 and 1"
    raise ValueError(message)


BIGINT = Codec("bigint", INT8, (int,), strict=True)
INTEGER = Codec("integer", INT4, (int,), Within(32))
SMALLINT = Codec("smallint", INT2, (int,), Within(16))
DOUBLE = Codec("double precision", FLOAT8, (float,))
PLAIN_TEXT = Codec("text", TEXT, (str,), _storable, strict=True)
BLOB = Codec("bytea", BYTEA, (bytes,), strict=True)
BOOLEAN = Codec("boolean", BOOL, (int,), _to_bool, int)


def short_text(length: int, *, padded: bool) -> Codec:
    """``varchar(n)``, or ``char(n)`` where padded."""
    return Codec("char(n)" if padded else "varchar(n)", TEXT, (str,), Short(length, padded))
