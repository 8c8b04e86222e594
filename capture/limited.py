"""A hold that ends by itself: whatever its work waits for, a broker or a disk, no writer waits longer than agreed.

All that is done with what is held goes through here, one after the other with the end of its time.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from capture.primary import Primary
from shared.errors import Retry


class Overdue(Retry):
    """The writers were let go meanwhile."""


class Limited:
    """Use as a context for the time of the hold."""

    def __init__(self, held: Primary, seconds: float) -> None:
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
    def in_time(self) -> Iterator[Primary]:
        """What is held, and stays so for the time of this context; Overdue where it was let go."""
        with self._lock:
            if self._over:
                raise Overdue(f"writers had waited for {self._seconds:g} s")
            yield self._held

    def check(self) -> None:
        """Overdue where its time is over."""
        with self.in_time():
            pass
