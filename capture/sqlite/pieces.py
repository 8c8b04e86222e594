"""Rows as pieces that fit a frame, made slice by slice: their bytes are known before more rows are read.

Each column's values are encoded as they come and joined at the end into what ``wire`` calls a snapshot piece, so
that nothing is encoded twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shared import wire

SLICE_ROWS = 64
"""Many enough that a call for each slice costs little, few enough to be in memory if all at once they are large."""
_PIECE_BYTES = wire.FRAME_BYTES * 9 // 10  # what is left of the frame is for the heads of the piece's columns
SLICE_BYTES = _PIECE_BYTES // 8
"""About what a slice should have at the most, for a piece ends with a whole slice."""


class Pieces:
    """Collects the rows of one table, in the order in which they are added."""

    def __init__(self, table: str) -> None:
        self._table = table
        self._whole: list[bytes] = []
        self._slices: list[list[memoryview]] = []  # of the piece in hand, column by column
        self._rows = self._size = 0

    def add(self, rows: Sequence[Sequence[Any]]) -> int:
        """Take in a slice, at most ``SLICE_ROWS`` of tuples of the same length; returns about how many bytes it is."""
        columns = [wire.encode_values(column) for column in zip(*rows, strict=True)]
        size = sum(map(len, columns))
        if self._size + size > _PIECE_BYTES:
            self._end()
        if size > _PIECE_BYTES:
            columns.clear()  # large as they are, they are not kept beside what is made of the rows now
            self._whole += wire.encode_rows(self._table, rows)
            return size
        self._slices.append(columns)
        self._rows += len(rows)
        self._size += size
        return size

    def finish(self) -> list[bytes]:
        """All pieces, the one in hand too."""
        self._end()
        return self._whole

    def _end(self) -> None:
        if not self._slices:
            return
        columns = list(zip(*self._slices, strict=True))
        self._whole.append(wire.join_rows(self._table, columns, self._rows))
        self._slices, self._rows, self._size = [], 0, 0
