"""Texts of any bytes in ``bytea``: those with NUL, and those that are not UTF-8."""

from __future__ import annotations

from shared.columns.codec import Codec
from shared.columns.plain import BYTEA
from shared.groups import RawText


def _to_bytes(value: str | RawText) -> bytes:
    return value.encode() if isinstance(value, str) else value.raw


def _from_bytes(raw: bytes) -> str | RawText:
    try:
        return bytes(raw).decode()
    except UnicodeDecodeError:
        return RawText(bytes(raw))


TEXT_BYTES = Codec("bytea for texts of any bytes", BYTEA, (str, RawText), _to_bytes, _from_bytes)
