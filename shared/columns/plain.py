"""Values that both databases write alike: integers, floats, texts, blobs; and 0/1 as boolean."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from shared.columns.codec import Codec

BOOL, BYTEA, INT8, INT2, INT4, TEXT, FLOAT4, FLOAT8 = 16, 17, 20, 21, 23, 25, 700, 701
NUL = "TEXT with NUL, which PostgreSQL cannot keep (bytea can)"


def storable(text: str) -> str:
    """The text, if PostgreSQL can keep it."""
    if "\0" in text:
        raise ValueError(NUL)
    return text


def all_storable(texts: Sequence[str]) -> Sequence[str]:
    """The same for many, about as fast as copying them."""
    if "\0" in "".join(texts):
        raise ValueError(NUL)
    return texts


@dataclass(frozen=True, slots=True)
class Within:
    """Integers of a smaller type."""

    bits: int

    def __call__(self, value: int) -> int:
        """The value, if it fits."""
        if -(1 << (self.bits - 1)) <= value < 1 << (self.bits - 1):
            return value
        raise ValueError(f"INTEGER of more than {self.bits} bits")


@dataclass(frozen=True, slots=True)
class Short:
    """Texts of at most so many characters; ``padded`` ones come back without spaces at the end."""

    length: int
    padded: bool = False

    def __call__(self, text: str) -> str:
        """The text, if it fits."""
        if len(text) > self.length:
            raise ValueError(f"TEXT of {len(text)} characters where {self.length} are allowed")
        if self.padded and text.endswith(" "):
            raise ValueError("TEXT that ends in a space, which char(n) would lose")
        return storable(text)


def _to_bool(value: int) -> bool:
    if value in (0, 1):
        return bool(value)
    raise ValueError("INTEGER other than 0 and 1")


def _nearest_single(value: float) -> float:
    """The four-byte float next to it, zero without sign: what PostgreSQL prints of one is shorter than what it is."""
    return float(struct.unpack("f", struct.pack("f", value))[0]) + 0.0


def _to_single(value: float) -> float:
    try:
        if repr(_nearest_single(value)) == repr(value):
            return value
    except OverflowError:
        pass
    raise ValueError("REAL that a four-byte float does not hold exactly")


def _unpadded(text: str) -> str:
    return text.rstrip(" ")


BIGINT = Codec("bigint", INT8, (int,), strict=True)
INTEGER = Codec("integer", INT4, (int,), Within(32))
SMALLINT = Codec("smallint", INT2, (int,), Within(16))
DOUBLE = Codec("double precision", FLOAT8, (float,))
SINGLE = Codec("real", FLOAT4, (float,), _to_single, _nearest_single)
PLAIN_TEXT = Codec("text", TEXT, (str,), storable, bulk=all_storable, strict=True)
BLOB = Codec("bytea", BYTEA, (bytes,), strict=True)
BOOLEAN = Codec("boolean", BOOL, (int,), _to_bool, int)


def short_text(length: int, *, padded: bool) -> Codec:
    """``varchar(n)``, or ``char(n)`` where padded."""
    if padded:
        return Codec("char(n)", TEXT, (str,), Short(length, padded=True), _unpadded)
    return Codec("varchar(n)", TEXT, (str,), Short(length))
