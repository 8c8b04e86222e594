"""Rows that are encoded slice by slice come back as they were, in their order, in pieces that fit a frame."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.sqlite.pieces import SLICE_ROWS, Pieces
from shared import wire
from shared.groups import RawText
from shared.wire import FRAME_BYTES

values = st.none() | st.integers(-(2**63), 2**63 - 1) | st.text(max_size=40) | st.binary(max_size=40).map(RawText)
slices = st.lists(st.lists(st.tuples(values, values), min_size=1, max_size=SLICE_ROWS), max_size=6)


def collect(given_slices: list[list[tuple[Any, ...]]]) -> list[bytes]:
    pieces = Pieces("täble")
    for rows in given_slices:
        pieces.add(rows)
    return pieces.finish()


def decoded(pieces: list[bytes]) -> list[tuple[Any, ...]]:
    return [row for piece in pieces for row in zip(*wire.decode_rows(piece).columns, strict=True)]


@given(slices)
def test_slices_of_any_length_come_back_as_one_piece_of_their_table(given_slices: list[list[tuple[Any, ...]]]) -> None:
    pieces = collect(given_slices)
    assert decoded(pieces) == [row for rows in given_slices for row in rows]
    assert [wire.decode_rows(piece).table for piece in pieces] == ["täble"] * bool(given_slices)


@pytest.mark.parametrize("large", [FRAME_BYTES // 2, FRAME_BYTES - 1_000, FRAME_BYTES // 30])
def test_large_rows_stay_in_their_place_and_make_no_piece_larger_than_a_frame(large: int) -> None:
    rows = [(n, bytes(large if n % 64 > 32 else 10)) for n in range(128)]
    pieces = collect([rows[:64], rows[64:]])
    assert decoded(pieces) == rows
    assert max(map(len, pieces)) <= FRAME_BYTES


def test_pieces_of_small_rows_are_about_as_large_as_a_frame() -> None:
    pieces = collect([[(n, "some text")] * SLICE_ROWS for n in range(5_000)])
    assert min(map(len, pieces[:-1])) > FRAME_BYTES * 8 // 10
    assert max(map(len, pieces)) <= FRAME_BYTES
