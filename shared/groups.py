"""The unit of the log: a group, what its header says, and the values that its payload carries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from msgspec import Struct

Kind = Literal["claim", "schema", "snapshot", "changes", "barrier"]
Op = Literal["c", "u", "d", "k"]
"""c create, u update, d delete, k delete of the old key because the key changed (a c follows)."""


class RawText:
    """A TEXT value whose bytes are not UTF-8; SQLite stores and returns such bytes as they are."""

    __slots__ = ("raw",)

    def __init__(self, raw: bytes) -> None:
        self.raw = raw

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RawText) and other.raw == self.raw

    def __hash__(self) -> int:
        return hash(self.raw)

    def __repr__(self) -> str:
        return f"RawText({self.raw!r})"


Value = None | int | float | str | bytes | RawText
"""A SQLite value: its Python type is its storage class (NULL, INTEGER, REAL, TEXT, BLOB, TEXT)."""


class Change(Struct, frozen=True, array_like=True, gc=False):
    """One row's change.  ``values`` is the whole row image: the new one of c and u, the old one of d and k."""

    table: str
    op: Op
    seq: int
    time_ms: int
    values: Sequence[Any]


class Rows(Struct, frozen=True, array_like=True, gc=False):
    """A piece of a snapshot chunk: a table's rows, column by column, in the order of ``Table.columns``."""

    table: str
    columns: Sequence[Sequence[Any]]


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """Where a group stands.  Lease and number name it; the offset of its last frame says where to look."""

    lease: int = 0
    number: int = 0
    offset: int = -1

    @property
    def name(self) -> tuple[int, int]:
        """What must be compared when waiting for a group: an offset alone proves nothing."""
        return (self.lease, self.number)

    @property
    def parts(self) -> tuple[int, int, int]:
        """Lease, number and offset."""
        return (self.lease, self.number, self.offset)

    def __str__(self) -> str:
        return f"group {self.number} of lease {self.lease} at offset {self.offset}"


@dataclass(frozen=True, slots=True)
class Header:
    """What every record of the spine says about itself.

    ``first_seq`` and ``last_seq`` bound the source's changes that the history holds with this group
    (last_seq < first_seq where the group adds none).  ``frame`` counts from 0; ``last`` closes the
    group; ``more`` says that this frame's piece goes on in the next frame.  ``meta`` is small and
    plain: a snapshot chunk's table, cursor and whether the table is done, a barrier's purpose.
    """

    stream: str
    incarnation: str
    writer: str
    lease: int
    number: int
    kind: Kind
    epoch: int = 0
    first_seq: int = 1
    last_seq: int = 0
    frame: int = 0
    last: bool = True
    more: bool = False
    meta: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Frame:
    """An accepted piece of a group; ``piece`` is its whole payload, ``position`` holds with header.last."""

    header: Header
    position: Position
    piece: bytes


@dataclass(frozen=True, slots=True)
class Abandoned:
    """The group whose frames came last will never be complete: undo what was done for it."""

    lease: int
    number: int


Event = Frame | Abandoned
