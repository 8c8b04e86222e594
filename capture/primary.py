"""The primary as capture closes and opens it: what either database has to do for that."""

from __future__ import annotations

from typing import Protocol

from capture.progress import Progress
from shared.control.standing import Standing
from shared.groups import Position


class Primary(Protocol):
    """The primary, as far as it is closed and opened again.

    ``lease`` is the one that the relay publishes under: where the database knows a later one, nothing is closed.
    ``since_ms`` is when writers began to wait for the last hold.
    """

    lease: int
    since_ms: int

    def standing(self) -> Standing:
        """What the database says of itself."""

    def closed_at(self) -> Position:
        """The last group that it knows of as a replica."""

    def hold(self, patience: float) -> str:
        """Make writers wait from now on, "" as answer; or why that was not to be had, and nobody waits."""

    def sequences(self) -> dict[str, int]:
        """The last number that each table's sequence has given out."""

    def prepare_fence(self) -> None:
        """Put the fence up in the held transaction: ``fence`` commits it, and it goes with the hold."""

    def let_go(self) -> None:
        """Undo the hold; nothing happens where there is none."""

    def fence(self, attempt: str, epoch: int, position: Position, progress: Progress, patience: float) -> str:
        """Close the held database for writers: note where its replica begins, and commit what was prepared.

        "" as answer, or why the commit was not to be had within ``patience`` seconds, and nothing is closed.
        """

    def unfence(self, attempt: str) -> bool:
        """Take the fence down if it is that attempt's."""
