"""Payloads as MessagePack: storage classes survive, and a snapshot goes column by column.

A change is ``[table, op, seq, time_ms, [values]]``, a snapshot piece ``[table, [[column], ...]]``.
Text that is not UTF-8 is extension type 1 around its bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec

from shared.errors import Stop
from shared.groups import Change, RawText, Rows, Value
from shared.tables import Schema

CONTENT_TYPE = "application/msgpack"
FRAME_BYTES = 880_000
"""Payload bytes of a frame at the most: with headers it stays below any broker's default limit of 1 MiB."""

_RAW_TEXT = 1
_ARRAY_BYTES = 5
_PAIR = b"\x92"
_SHORT = 16  # the head of a shorter array is one byte, of one up to 65,535 three


def _to_wire(value: object) -> object:
    if isinstance(value, RawText):
        return msgspec.msgpack.Ext(_RAW_TEXT, value.raw)
    message = f"no SQLite value: {type(value).__name__}"
    raise NotImplementedError(message)


def _from_wire(code: int, data: memoryview) -> object:
    if code == _RAW_TEXT:
        return RawText(bytes(data))
    message = f"unknown extension type {code}"
    raise ValueError(message)


_encoder = msgspec.msgpack.Encoder(enc_hook=_to_wire)
_changes = msgspec.msgpack.Decoder(list[Change], ext_hook=_from_wire)
_rows = msgspec.msgpack.Decoder(Rows, ext_hook=_from_wire)
_schema = msgspec.msgpack.Decoder(Schema)

encode = _encoder.encode


def encode_changes(changes: Iterable[Change]) -> Iterator[bytes]:
    """Pieces of whole changes, each under the frame size where a change fits into one."""
    parts: list[bytes] = []
    size = _ARRAY_BYTES
    for change in changes:
        part = encode(change)
        if parts and size + len(part) > FRAME_BYTES:
            yield _array(parts)
            parts, size = [], _ARRAY_BYTES
        parts.append(part)
        size += len(part)
    if parts:
        yield _array(parts)


def decode_changes(piece: bytes) -> list[Change]:
    """The changes of a piece, in their order; Stop where it holds none."""
    with _readable():
        return _changes.decode(piece)


def encode_rows(table: str, rows: Sequence[Sequence[Value]]) -> Iterator[bytes]:
    """Pieces of whole rows (tuples in the order of the table's columns), halved until they fit a frame."""
    if not rows:
        return
    piece = encode((table, list(zip(*rows, strict=True))))
    if len(piece) <= FRAME_BYTES or len(rows) == 1:
        yield piece
        return
    step = max(1, int(len(rows) * FRAME_BYTES * 0.95 / len(piece)))
    for start in range(0, len(rows), step):
        yield from encode_rows(table, rows[start : start + step])


def encode_values(values: Sequence[Value]) -> memoryview:
    """Fewer than 65,536 values, one behind the other: a part of a column that ``join_rows`` puts together."""
    return memoryview(encode(values))[1 if len(values) < _SHORT else 3 :]


def join_rows(table: str, columns: Sequence[Sequence[memoryview]], rows: int) -> bytes:
    """The piece that ``encode_rows`` makes, of columns in parts with so many values altogether."""
    parts: list[bytes | memoryview] = [_PAIR, encode(table), _head(len(columns))]
    for column in columns:
        parts.append(_head(rows))
        parts += column
    return b"".join(parts)


def decode_rows(piece: bytes) -> Rows:
    """The rows of a piece, column by column; Stop where it holds none."""
    with _readable():
        return _rows.decode(piece)


def decode_schema(piece: bytes) -> Schema:
    """The schema of a piece of kind ``schema``; Stop where it holds none."""
    with _readable():
        return _schema.decode(piece)


def decode_any(piece: bytes) -> Any:  # noqa: ANN401  (a reader of unknown payloads cannot know)
    """Whatever a piece holds, for showing."""
    return msgspec.msgpack.decode(piece, ext_hook=_from_wire)


@contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except (msgspec.DecodeError, ValueError) as error:
        remedy = "It was written by a newer version, or is damaged: update this program, or copy again"
        raise Stop(f"a payload in the log cannot be read: {error}", remedy=remedy) from error


def _array(parts: list[bytes]) -> bytes:
    return _head(len(parts)) + b"".join(parts)


def _head(length: int) -> bytes:
    return b"\xdd" + length.to_bytes(4, "big")
