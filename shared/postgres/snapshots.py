"""Sets of transactions, as PostgreSQL's snapshots are: which ones are published.  Pure.

The written form is that of the type pg_snapshot, so that the server can be asked with it.
"""

from __future__ import annotations

from typing import NamedTuple, Self


class Snapshot(NamedTuple):
    """All transactions below ``end`` but those of ``open``, by their numbers, of 64 bits."""

    end: int
    open: tuple[int, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """From ``xmin:xmax:xip,xip``."""
        _, end, ids = text.split(":")
        return cls(int(end), tuple(map(int, ids.split(","))) if ids else ())

    @classmethod
    def of(cls, snapshot: str, horizon: str) -> Self:
        """As a group's header or a checkpoint has it; what has a ``horizon`` alone is of a version before 0.1."""
        return cls.parse(snapshot) if snapshot else cls(max(1, int(horizon or "0")))

    def __str__(self) -> str:
        return f"{self.horizon}:{self.end}:{','.join(map(str, self.open))}"

    @property
    def horizon(self) -> int:
        """All below that number are in it."""
        return min((self.end, *self.open))

    def grown(self, seen: Snapshot, last: int) -> Snapshot:
        """With those that are in ``seen`` besides, up to the transaction ``last``.

        Those behind it have changed nothing of ours, and a server that lost them gives their numbers out again.
        """
        end = max(self.end, last + 1)
        return Snapshot(end, tuple(number for number in seen.open if number < end))
