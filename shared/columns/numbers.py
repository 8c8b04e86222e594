"""Numbers in ``numeric`` and ``double precision``, whose storage class in SQLite must come back.

Under INTEGER and NUMERIC affinity SQLite itself makes INTEGER of every number that is integral, under REAL
affinity REAL of all, so a number keeps its class without being marked.  A column without affinity keeps
both; there the digits behind the point, which ``numeric`` remembers, tell 5 from 5.0.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal, InvalidOperation

from shared.columns.affinity import INT64, as_stored, same_value
from shared.columns.codec import Codec
from shared.columns.plain import DOUBLE, FLOAT8
from shared.tables import Affinity

NUMERIC = 1700
_REMEMBERED = 50_000
_remembered: dict[float, Decimal] = {}


def _decimal(value: float) -> Decimal:
    """The number with the fewest digits that is this one."""
    if isinstance(value, int):
        return Decimal(value)
    found = _remembered.get(value)
    if found is None:
        if not math.isfinite(value):
            raise ValueError("infinite REAL, which numeric does not keep")
        found = Decimal(repr(value))
        if not found:
            return _zero(found)
        if len(_remembered) >= _REMEMBERED:
            _remembered.clear()
        _remembered[value] = found
    return found


def _zero(number: Decimal) -> Decimal:
    if number.is_signed():
        raise ValueError("negative zero, which numeric does not keep")
    return number


def _by_affinity(affinity: Affinity) -> tuple[Callable[[float], Decimal], Callable[[Decimal], int | float]]:
    def decode(number: Decimal) -> int | float:
        whole = number == number.to_integral_value() and int(number) in INT64
        value = as_stored(int(number) if whole else _finite(number), affinity)
        assert isinstance(value, int | float)
        return value

    def encode(value: float) -> Decimal:
        if isinstance(value, float) and value.is_integer() and not same_value(as_stored(value, affinity), value):
            raise ValueError("integral REAL, which would come back as INTEGER")
        return _decimal(value)

    return encode, decode


def _marked(value: float) -> Decimal:
    """For columns without affinity: a REAL always has digits behind the point, or is beyond 64 bits."""
    if isinstance(value, int):
        return Decimal(value)
    number = _decimal(value)
    if number == number.to_integral_value() and int(number) in INT64:
        return Decimal(f"{int(value)}.0")
    return number


def _from_marked(number: Decimal) -> int | float:
    exponent = number.as_tuple().exponent
    if isinstance(exponent, int) and exponent < 0:
        return float(number)
    return int(number) if int(number) in INT64 else _finite(number)


def _finite(number: Decimal) -> float:
    value = float(number)
    if math.isfinite(value):
        return value
    raise ValueError("a number that SQLite cannot hold")


def _from_digits(text: str) -> Decimal:
    """Decimals kept as texts: only as PostgreSQL writes them."""
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise ValueError("TEXT that is no decimal number") from None
    if not number.is_finite() or to_digits(number) != text or (number.is_signed() and not number):
        raise ValueError("TEXT that is a number in another spelling than PostgreSQL's")
    return number


def to_digits(number: Decimal) -> str:
    """The number without exponent."""
    return format(number, "f")


def numeric(affinity: Affinity, size: tuple[int, int] | None = None) -> Codec:
    """``numeric`` or, with a size, ``numeric(precision, scale)``, for a column of that affinity."""
    if affinity == "TEXT":
        codec = Codec("numeric", NUMERIC, (str,), _from_digits, to_digits)
    elif affinity == "BLOB" and not size:
        codec = Codec("numeric", NUMERIC, (int, float), _marked, _from_marked)
    else:
        kinds = (float,) if affinity == "REAL" else (int, float)
        codec = Codec("numeric", NUMERIC, kinds, *_by_affinity("NUMERIC" if affinity == "BLOB" else affinity))
    return codec if size is None else _sized(codec, *size, exact=affinity == "TEXT")


def _sized(codec: Codec, precision: int, scale: int, *, exact: bool) -> Codec:
    """What PostgreSQL would round, refuse or (for texts) write with other digits is unfit."""
    limit = Decimal(1).scaleb(precision - scale)

    def encode(value: float | str) -> Decimal:
        number: Decimal = codec.encode(value)
        digits = _digits_behind_point(number, trimmed=not exact)
        if abs(number) >= limit or digits > scale or (exact and digits != scale):
            raise ValueError(f"number that numeric({precision}, {scale}) would change")
        return number

    return Codec(f"numeric({precision}, {scale})", NUMERIC, codec.accepts, encode, codec.decode)


def _digits_behind_point(number: Decimal, *, trimmed: bool) -> int:
    whole, _, behind = format(number, "f").partition(".")
    return len(behind.rstrip("0") if trimmed else behind) if whole else 0


def _without_sign_of_zero(value: float) -> float:
    """SQLite keeps an integral value of a REAL column as an integer, and -0.0 becomes 0.0."""
    return value + 0.0


_REAL = Codec("double precision", FLOAT8, (float,), decode=_without_sign_of_zero, alike=True)


def double(affinity: Affinity) -> Codec:
    """``double precision``; under INTEGER and NUMERIC affinity for integers too, up to 53 bits."""
    if affinity == "REAL":
        return _REAL
    if affinity not in ("INTEGER", "NUMERIC"):
        return DOUBLE

    def decode(value: float) -> int | float:
        stored = as_stored(value, affinity)
        assert isinstance(stored, int | float)
        return stored

    def encode(value: float) -> float:
        try:
            if same_value(decode(float(value)), value):
                return float(value)
        except OverflowError:
            pass
        raise ValueError("number that double precision would change")

    return Codec("double precision", FLOAT8, (int, float), encode, decode)
