"""A hold that ends by itself: whatever its work waits for, a broker or a disk, no writer waits longer than agreed.

All that is done with what is held goes through here, one after the other with the end of its time.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Protocol, Self

from capture.progress import Progress
from shared.errors import Retry
from shared.groups import Position


class Held(Protocol):
    """What is held."""

    def sequences(self) -> dict[str, int]:
        """The last number that each table's sequence has given out."""

    def prepare_fence(self) -> None:
        """Put the fence up in the held transaction."""

    def let_go(self) -> None:
        """Undo the hold; nothing happens where there is none."""

    def fence(self, attempt: str, epoch: int, position: Position, progress: Progress, patience: float) -> str:
        """Commit the fence; "" or why that was not to be had."""


class Overdue(Retry):
    """The writers were let go meanwhile."""


class Limited:
    """Use as a context for the time of the hold; raises Overdue for what comes too late."""

    def __init__(self, held: Held, seconds: float) -> None:
        self._held = held
        self._seconds = seconds
        self._lock = threading.Lock()
        self._over = False
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        self._end()

    def _end(self) -> None:
        with self._lock:
            if not self._over:  # a timer that comes late must not end the next hold
                self._over = True
                self._held.let_go()

    @contextmanager
    def _in_time(self) -> Iterator[Held]:
        with self._lock:
            if self._over:
                raise Overdue(f"writers had waited for {self._seconds:g} s")
            yield self._held

    def check(self) -> None:
        """Overdue where the time is over."""
        with self._in_time():
            pass

    def sequences(self) -> dict[str, int]:
        """As of what is held."""
        with self._in_time() as held:
            return held.sequences()

    def prepare_fence(self) -> None:
        """As of what is held."""
        with self._in_time() as held:
            held.prepare_fence()

    def fence(self, attempt: str, epoch: int, position: Position, progress: Progress, patience: float) -> str:
        """As of what is held."""
        with self._in_time() as held:
            return held.fence(attempt, epoch, position, progress, patience)
