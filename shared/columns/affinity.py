"""What SQLite makes of a value that is stored under an affinity (https://www.sqlite.org/datatype3.html#type_affinity).

It tells which values a column can hold at all, and so what a value from PostgreSQL will be once it is back.
"""

from __future__ import annotations

import re

from shared.tables import Affinity

INT64 = range(-(2**63), 2**63)
_SPACE = "[ \t\n\v\f\r]*"
_NUMBER = re.compile(rf"{_SPACE}[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?{_SPACE}")
_WHOLE = re.compile(rf"{_SPACE}[+-]?[0-9]+{_SPACE}")
_LONGEST_WHOLE = 400


def as_stored(value: object, affinity: Affinity) -> object:
    """The value as a column of that affinity holds it; BLOBs and NULL stay what they are under any."""
    if affinity in ("INTEGER", "NUMERIC"):
        number = _number_in(value) if isinstance(value, str) else value
        return _integral(number) if isinstance(number, float) else number
    if affinity == "REAL":
        number = _number_in(value) if isinstance(value, str) else value
        return number + 0.0 if isinstance(number, int | float) else number  # kept as 0, which has no sign
    return value


def is_numeric(affinity: Affinity) -> bool:
    """Whether texts that read like numbers become numbers."""
    return affinity in ("INTEGER", "NUMERIC", "REAL")


def same_value(one: object, other: object) -> bool:
    """Equal in class and bits: -0.0 is not 0.0, and 1 is not 1.0."""
    return type(one) is type(other) and (repr(one) == repr(other) if isinstance(one, float) else one == other)


def _number_in(text: str) -> int | float | str:
    if not _NUMBER.fullmatch(text):
        return text
    if _WHOLE.fullmatch(text) and len(text) < _LONGEST_WHOLE and (whole := int(text)) in INT64:
        return whole
    return float(text)


def _integral(number: float) -> int | float:
    """A REAL becomes an INTEGER where nothing is lost and it is within (not at) the ends of 64 bits."""
    if number.is_integer() and INT64[0] < number < INT64[-1]:
        return int(number)
    return number
