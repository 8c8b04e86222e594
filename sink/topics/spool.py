"""A group's pieces, kept until the group is known to be whole: in memory, and on disk where they are many."""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Iterator

_MEMORY_BYTES = 16_000_000
_SIZE = struct.Struct("<Q")


class Spool:
    """Takes pieces and gives them back once, in order."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(max_size=_MEMORY_BYTES)  # noqa: SIM115  (closed by ``clear``)

    def add(self, piece: bytes) -> None:
        """Keep a piece."""
        self._file.write(_SIZE.pack(len(piece)))
        self._file.write(piece)

    def pieces(self) -> Iterator[bytes]:
        """All of them."""
        self._file.seek(0)
        while head := self._file.read(_SIZE.size):
            yield self._file.read(_SIZE.unpack(head)[0])

    def clear(self) -> None:
        """Forget them."""
        self._file.close()
        self._file = tempfile.SpooledTemporaryFile(max_size=_MEMORY_BYTES)  # noqa: SIM115
