"""What goes into a payload comes out of it, storage class and all, and no piece is larger than a frame."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import wire
from shared.errors import Stop
from shared.groups import Change, RawText, Rows
from shared.tables import Column, Schema, Table
from shared.wire import FRAME_BYTES

integers = st.integers(-(2**63), 2**63 - 1)
texts = st.text(st.characters(exclude_categories=["Cs"]))
raw_texts = st.binary().map(RawText)
values = st.none() | integers | st.floats(allow_nan=False) | texts | st.binary() | raw_texts
changes = st.builds(
    Change, texts, st.sampled_from("cudk"), st.integers(1, 2**62), st.integers(0, 2**53), st.lists(values, max_size=5)
)


def alike(one: Any, other: Any) -> bool:
    """Equal and of the same class; 1, 1.0 and True are three things, and so are 0.0 and -0.0."""
    if isinstance(one, float) and isinstance(other, float):
        return one == other and math.copysign(1, one) == math.copysign(1, other)
    return type(one) is type(other) and bool(one == other)


def decoded(pieces: list[bytes]) -> list[Change]:
    return [change for piece in pieces for change in wire.decode_changes(piece)]


@given(st.lists(changes, max_size=8))
def test_changes_come_back_as_they_were(given_changes: list[Change]) -> None:
    found = decoded(list(wire.encode_changes(given_changes)))

    assert found == given_changes
    pairs = [pair for a, b in zip(given_changes, found, strict=True) for pair in zip(a.values, b.values, strict=True)]
    assert all(alike(one, other) for one, other in pairs)


@given(st.integers(1, 4).flatmap(lambda width: st.lists(st.tuples(*[values] * width), min_size=1, max_size=8)))
def test_rows_come_back_column_by_column(rows: list[tuple[Any, ...]]) -> None:
    found = [wire.decode_rows(piece) for piece in wire.encode_rows("t", rows)]

    back = [row for piece in found for row in zip(*piece.columns, strict=True)]
    assert [piece.table for piece in found] == ["t"] * len(found)
    assert all(alike(one, other) for a, b in zip(rows, back, strict=True) for one, other in zip(a, b, strict=True))


def test_no_rows_are_no_piece() -> None:
    assert list(wire.encode_rows("t", [])) == []
    assert list(wire.encode_changes([])) == []


@given(st.lists(st.integers(0, 400_000), max_size=12))
def test_pieces_of_changes_fit_a_frame_where_each_change_does(sizes: list[int]) -> None:
    made = [Change("t", "c", seq, 0, [b"x" * size]) for seq, size in enumerate(sizes, 1)]

    pieces = list(wire.encode_changes(made))

    assert decoded(pieces) == made
    assert all(len(piece) <= FRAME_BYTES for piece in pieces)


@pytest.mark.parametrize("size", [FRAME_BYTES - 60, FRAME_BYTES, 3 * FRAME_BYTES])
def test_a_change_larger_than_a_frame_is_a_piece_of_its_own(size: int) -> None:
    made = [Change("t", "c", seq, 0, [b"x" * width]) for seq, width in ((1, 1), (2, size), (3, 1))]

    pieces = list(wire.encode_changes(made))

    assert decoded(pieces) == made


@given(st.lists(st.integers(0, 300_000), min_size=1, max_size=12))
def test_pieces_of_rows_fit_a_frame_where_each_row_does(sizes: list[int]) -> None:
    rows = [(number, b"x" * size) for number, size in enumerate(sizes)]

    pieces = list(wire.encode_rows("t", rows))

    back = [row for piece in pieces for row in zip(*wire.decode_rows(piece).columns, strict=True)]
    assert back == rows
    assert all(len(piece) <= FRAME_BYTES for piece in pieces)


def test_a_schema_comes_back_as_it_was() -> None:
    schema = Schema((Table("t", (Column("id", "INTEGER", "INTEGER", not_null=True), Column("b")), ("id",)),))

    assert wire.decode_schema(wire.encode(schema)) == schema


@pytest.mark.parametrize("decode", [wire.decode_changes, wire.decode_rows, wire.decode_schema])
@pytest.mark.parametrize("piece", [b"", b"\xc1", b"\x93\x01", wire.encode("text"), msgspec.msgpack.encode([[1]])])
def test_a_payload_that_is_none_stops_the_stream(decode: Any, piece: bytes) -> None:
    with pytest.raises(Stop, match="payload"):
        decode(piece)


def test_an_unknown_extension_type_stops_the_stream() -> None:
    piece = msgspec.msgpack.encode([["t", "c", 1, 0, [msgspec.msgpack.Ext(99, b"from the future")]]])

    with pytest.raises(Stop, match="extension type 99"):
        wire.decode_changes(piece)


def test_anything_can_be_decoded_for_showing() -> None:
    assert wire.decode_any(wire.encode(("t", [[RawText(b"\xff"), 1]]))) == ["t", [[RawText(b"\xff"), 1]]]
    assert wire.decode_any(wire.encode(Rows("t", [[1], ["a"]]))) == ["t", [[1], ["a"]]]
