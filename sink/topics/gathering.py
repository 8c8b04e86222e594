"""Whole groups out of frames: a group that was begun may be abandoned, and its records could not be taken back.

A group larger than some megabytes waits in a temporary file, as the log holds it, so that no transaction is too
large for memory.
"""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import IO

from shared.groups import Abandoned, Event, Header, Position

_IN_MEMORY = 32_000_000
_LENGTH = struct.Struct(">I")


@dataclass(frozen=True, slots=True)
class Group:
    """A whole group; ``pieces`` may be gone through once."""

    header: Header
    position: Position
    pieces: Iterable[bytes]


class Gathering:
    """Collects the frames of one group at a time."""

    def __init__(self) -> None:
        self._held: IO[bytes] | None = None

    def take(self, events: Iterable[Event]) -> Iterator[Group]:
        """The groups that are complete with these events."""
        for event in events:
            if isinstance(event, Abandoned):
                self._forget()
                continue
            if event.header.last and self._held is None:
                yield Group(event.header, event.position, (event.piece,) if event.piece else ())
                continue
            self._keep(event.piece)
            if event.header.last:
                yield Group(event.header, event.position, self._release())

    def _keep(self, piece: bytes) -> None:
        if self._held is None:
            self._held = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115  (lives as long as the group comes)
        if piece:
            self._held.write(_LENGTH.pack(len(piece)) + piece)

    def _release(self) -> Iterator[bytes]:
        held, self._held = self._held, None
        assert held
        with held:
            held.seek(0)
            while length := held.read(_LENGTH.size):
                yield held.read(_LENGTH.unpack(length)[0])

    def _forget(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            held.close()
