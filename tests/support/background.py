"""Something that goes on beside a test, and ends with it whatever becomes of it: the next ones need the machine."""

from __future__ import annotations

import threading
from typing import Self


class Background(threading.Thread):
    """A thread whose ``run`` ends when ``_end`` is set."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._end = threading.Event()

    def end(self) -> None:
        """End it, and wait for that."""
        self._end.set()
        if self.is_alive():
            self.join()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
