"""What PostgreSQL notes of itself: its role, and from where it is captured while it is the primary."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import psycopg
from psycopg.rows import class_row

from shared.groups import Position

_COLUMNS = "role, epoch, attempt, lease, incarnation, checkpoint, opened_lease, opened_number, opened_offset"
_READ = f"SELECT {_COLUMNS} FROM switchback.side WHERE stream = %s"  # noqa: S608  (our own names)
_EXISTS = "SELECT to_regclass('switchback.side') IS NOT NULL"
_SET_ROLE = "UPDATE switchback.side SET role = %s, epoch = %s, attempt = %s WHERE stream = %s"
_JOURNAL = "INSERT INTO switchback.journal (stream, epoch, role, attempt) VALUES (%s, %s, %s, %s)"


@dataclass(frozen=True, slots=True)
class Side:
    """A stream's row; ``opened`` is the group behind which it became the primary last."""

    role: Literal["primary", "replica"]
    epoch: int
    attempt: str
    lease: int
    incarnation: str
    checkpoint: str
    opened_lease: int
    opened_number: int
    opened_offset: int

    @property
    def opened(self) -> Position:
        """That group."""
        return Position(self.opened_lease, self.opened_number, self.opened_offset)


def read_side(db: psycopg.Connection[Any], stream: str, *, lock: bool = False) -> Side | None:
    """The stream's row, with ``lock`` until the end of the transaction; None where nothing was installed."""
    found = db.execute(_EXISTS).fetchone()
    if not found or not found[0]:
        return None
    query = f"{_READ} FOR UPDATE" if lock else _READ
    with db.cursor(row_factory=class_row(Side)) as cursor:
        return cursor.execute(query.encode(), (stream,)).fetchone()


def set_role(
    db: psycopg.Connection[Any],
    stream: str,
    *,
    role: Literal["primary", "replica"],
    epoch: int,
    attempt: str,
) -> None:
    """Change the role, in the caller's transaction, which also moves the fence."""
    db.execute(_SET_ROLE, (role, epoch, attempt, stream))
    db.execute(_JOURNAL, (stream, epoch, role, attempt))
