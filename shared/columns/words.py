"""Texts that have a type of their own in PostgreSQL: JSON, UUIDs, and the labels of an enum."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any
from uuid import UUID, SafeUUID

import msgspec

from shared.columns.affinity import as_stored, is_numeric, same_value
from shared.columns.codec import Codec
from shared.columns.literal import write_literal
from shared.columns.plain import TEXT, storable
from shared.tables import Affinity

UUID_OID, JSONB_OID = 2950, 3802
_UNKNOWN = SafeUUID.unknown
_NO_JSON = "TEXT that is no JSON"
_NO_CANON = "TEXT that is JSON in another spelling than jsonb's, which keeps no spaces, order or doubles"
_NO_NUMBER = frozenset('{["tfn')
_read_quickly = msgspec.json.Decoder(msgspec.Raw).decode


def is_json(text: str) -> bool:
    """Whether PostgreSQL's ``json`` keeps this text; it keeps it byte for byte."""
    try:
        _read_quickly(text)
    except (msgspec.DecodeError, RecursionError):
        return _is_odd_json(text)
    return "\0" not in text


def _is_odd_json(text: str) -> bool:
    """A second look, for what the quick reader refuses and PostgreSQL takes: half of a surrogate pair."""
    try:
        json.loads(text, parse_constant=_no_constant, parse_int=len, parse_float=len)
    except (ValueError, RecursionError):
        return False
    return "\0" not in text


def _no_constant(_name: str) -> None:
    raise ValueError(_NO_JSON)


def _to_json(text: str) -> str:
    if is_json(text):
        return text
    raise ValueError(_NO_JSON)


def _all_to_json(texts: Sequence[str]) -> Sequence[str]:
    if all(map(is_json, texts)):
        return texts
    raise ValueError(_NO_JSON)


@lru_cache(maxsize=8)
def json_codec(affinity: Affinity) -> Codec:
    """``json``; a column declared JSON has NUMERIC affinity, so its numbers are INTEGER and REAL."""
    if not is_numeric(affinity):
        return Codec("json", TEXT, (str,), _to_json, bulk=_all_to_json)

    def decode(text: str) -> Any:  # noqa: ANN401  (a number or a text)
        return as_stored(text, affinity)

    def encode(value: float | str) -> str:
        text = _to_json(value if isinstance(value, str) else write_literal(value))
        if text[0] in _NO_NUMBER or same_value(decode(text), value):
            return text
        raise ValueError(f"a value that a column of {affinity} affinity does not hold")

    return Codec("json", TEXT, (int, float, str), encode, decode)


def _canonical(text: str) -> str:
    """How jsonb would write a text; ValueError where that is not told easily."""
    try:
        read = json.loads(text, parse_constant=_no_constant, parse_int=_Digits, parse_float=_Digits)
    except (ValueError, RecursionError):
        raise ValueError(_NO_JSON) from None
    return _write(read)


class _Digits(str):
    """A number as it stands there."""

    __slots__ = ()


def _write(value: object) -> str:
    if isinstance(value, _Digits):
        if re.fullmatch(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?", value) and not re.fullmatch(r"-[0.]+", value):
            return str(value)
        raise ValueError(_NO_CANON)
    if isinstance(value, dict):
        ordered = sorted(value.items(), key=lambda item: (len(item[0].encode()), item[0].encode()))
        return "{" + ", ".join(f"{_write(key)}: {_write(part)}" for key, part in ordered) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_write, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def _to_jsonb(text: str) -> object:
    from psycopg.types.json import Jsonb  # noqa: PLC0415  (capture, which takes the census, needs no psycopg)

    try:
        if "\\u0000" not in text and _canonical(text) == text:
            return Jsonb(text, dumps=str)
    except UnicodeEncodeError:
        pass
    raise ValueError(_NO_CANON)


JSONB = Codec("jsonb", JSONB_OID, (str,), _to_jsonb)


def _from_text(text: str, *, shape: re.Pattern[str], spelled: str) -> UUID:
    if not shape.fullmatch(text):
        raise ValueError(f"TEXT that is no UUID of lower-case hex digits {spelled} dashes")
    return _uuid(int(text.replace("-", ""), 16))


def _uuid(number: int) -> UUID:
    """``UUID(int=number)``, three times as fast: it would look again at what is proven already."""
    made = UUID.__new__(UUID)
    object.__setattr__(made, "int", number)
    object.__setattr__(made, "is_safe", _UNKNOWN)
    return made


def _from_bytes(raw: bytes) -> UUID:
    if len(raw) != 16:  # noqa: PLR2004  (a UUID's bytes)
        raise ValueError(f"BLOB of {len(raw)} bytes where a UUID has 16")
    return _uuid(int.from_bytes(raw, "big"))


def _reader(mark: str, spelled: str) -> Callable[[str], UUID]:
    shape = re.compile(mark.join(f"[0-9a-f]{{{width}}}" for width in (8, 4, 4, 4, 12)))
    return partial(_from_text, shape=shape, spelled=spelled)


UUIDS = {
    "uuid-dashes": Codec("uuid", UUID_OID, (str,), _reader("-", "with"), str),
    "uuid-hex": Codec("uuid", UUID_OID, (str,), _reader("", "without"), lambda found: found.hex),
    "uuid-bytes": Codec("uuid", UUID_OID, (bytes,), _from_bytes, lambda found: found.bytes),
}


def _label(value: str | bytes) -> str:
    """Psycopg does not know the enum, so that its binary form comes as bytes."""
    return value if isinstance(value, str) else bytes(value).decode()


ENUM = Codec("enum", TEXT, (str,), storable, _label)


def uuid_format(value: object) -> str:
    """The name of the UUID codec that keeps this value, "" where none does."""
    for name, codec in UUIDS.items():
        try:
            codec.to_postgres(value)
        except ValueError:
            continue
        return name
    return ""
