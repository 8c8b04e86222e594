"""Texts that have a type of their own in PostgreSQL: JSON and UUIDs."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from uuid import UUID

from shared.columns.codec import Codec
from shared.columns.plain import TEXT

UUID_OID = 2950
_HEX = re.compile(r"[0-9a-f]{32}")
_SIXTEEN = 16


def _to_json(text: str) -> str:
    try:
        json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        message = "TEXT that is no JSON"
        raise ValueError(message) from None
    return text


def _no_constant(_name: str) -> None:
    message = "NaN and Infinity are no JSON"
    raise ValueError(message)


def is_json(text: str) -> bool:
    """Whether PostgreSQL's ``json`` keeps this text; it keeps it byte for byte."""
    try:
        _to_json(text)
    except ValueError:
        return False
    return "\0" not in text and "\\u0000" not in text


JSON = Codec("json", TEXT, (str,), _to_json)


def _from_dashes(text: str) -> UUID:
    return _exactly(text, str)


def _from_hex(text: str) -> UUID:
    if not _HEX.fullmatch(text):
        message = "TEXT that is no UUID of 32 lower-case hex digits"
        raise ValueError(message)
    return UUID(hex=text)


def _from_bytes(raw: bytes) -> UUID:
    if len(raw) != _SIXTEEN:
        message = f"BLOB of {len(raw)} bytes where a UUID has 16"
        raise ValueError(message)
    return UUID(bytes=raw)


def _exactly(text: str, write: Callable[[UUID], str]) -> UUID:
    message = "TEXT that is no lower-case UUID with dashes"
    try:
        found = UUID(text)
    except ValueError:
        raise ValueError(message) from None
    if write(found) != text:
        raise ValueError(message)
    return found


UUIDS = {
    "uuid-dashes": Codec("uuid", UUID_OID, (str,), _from_dashes, str),
    "uuid-hex": Codec("uuid", UUID_OID, (str,), _from_hex, lambda found: found.hex),
    "uuid-bytes": Codec("uuid", UUID_OID, (bytes,), _from_bytes, lambda found: found.bytes),
}


def uuid_format(value: str | bytes) -> str:
    """The name of the UUID codec that keeps this value, "" where none does."""
    for name, codec in UUIDS.items():
        try:
            codec.to_postgres(value)
        except ValueError:
            continue
        return name
    return ""
