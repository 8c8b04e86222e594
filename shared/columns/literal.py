"""Any SQLite value as text: for columns that hold a bit of everything.

Texts stay as they are and numbers are their digits.  What would be taken for something else is written as a
literal: ``'12'`` is the text 12, ``x'00ff'`` a BLOB, ``t'6100'`` a text that PostgreSQL cannot keep (its bytes).
Under a numeric affinity no text reads like a number, and under TEXT affinity there are no numbers, so that
quotes are rare.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from shared.columns.affinity import INT64, as_stored, same_value
from shared.columns.codec import Codec
from shared.columns.plain import TEXT
from shared.groups import RawText
from shared.tables import Affinity

_INFINITE = {"9e999": float("inf"), "-9e999": float("-inf")}
_SPELLED = {real: text for text, real in _INFINITE.items()}
_HEX = re.compile(r"([xt])'((?:[0-9a-f]{2})*)'")
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?(e[+-]?[0-9]+)?")
_LONGEST_NUMBER = 40


def read_literal(text: str, *, numbers: bool = True) -> Any:  # noqa: ANN401  (any value)
    """The value that a text stands for; without ``numbers`` digits are a text."""
    if text[:1] == "'" and len(text) > 1 and text[-1] == "'":
        return text[1:-1]
    if found := _HEX.fullmatch(text):
        raw = bytes.fromhex(found[2])
        return raw if found[1] == "x" else _as_text(raw)
    if numbers and len(text) <= _LONGEST_NUMBER and _NUMBER.fullmatch(text):
        return _read_number(text)
    return text


def _read_number(text: str) -> int | float | str:
    """Only as Python writes it: any other spelling is a text."""
    if text in _INFINITE:
        return _INFINITE[text]
    if text.lstrip("-").isdigit():
        whole = int(text)
        return whole if str(whole) == text and whole in INT64 else text
    real = float(text)
    return real if repr(real) == text else text


def _as_text(raw: bytes) -> str | RawText:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return RawText(raw)


def write_literal(value: Any, *, numbers: bool = True) -> str:  # noqa: ANN401
    """The text that stands for a value."""
    if isinstance(value, str):
        if "\0" in value:
            return f"t'{value.encode().hex()}'"
        return value if read_literal(value, numbers=numbers) is value else f"'{value}'"
    if isinstance(value, bytes):
        return f"x'{value.hex()}'"
    if isinstance(value, RawText):
        return f"t'{value.raw.hex()}'"
    return _SPELLED.get(value) or repr(value)


@lru_cache(maxsize=8)
def literal(affinity: Affinity) -> Codec:
    """``text`` for every value that a column of that affinity can hold."""
    kinds = (int, float, str, bytes, RawText)
    return Codec("text for any value", TEXT, kinds, _writer(affinity), _reader(affinity))


def _reader(affinity: Affinity) -> Callable[[str], Any]:
    numbers = affinity != "TEXT"
    return lambda text: as_stored(read_literal(text, numbers=numbers), affinity)


def _writer(affinity: Affinity) -> Callable[[Any], str]:
    read, numbers = _reader(affinity), affinity != "TEXT"

    def write(value: object) -> str:
        text = write_literal(value, numbers=numbers)
        if not same_value(read(text), value):
            raise ValueError(f"a value that a column of {affinity} affinity does not hold")
        return text

    return write
