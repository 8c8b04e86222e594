"""Bringing the WAL's pages into the file, beside the work: it waits for the disk, and writers may be waiting for us.

SQLite itself does it in whatever COMMIT finds the WAL long, which may be the one that a cutover waits for.  A thread
with a connection of its own does it without keeping anybody: a passive checkpoint takes no lock that others need.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path

import apsw

_PAGES = 1_000  # as SQLite itself


class Checkpointer(threading.Thread):
    """Works when it is told of a long WAL."""

    def __init__(self, path: Path) -> None:
        super().__init__(name="checkpoints", daemon=True)
        self._path = path
        self._wanted = threading.Event()
        self._ended = False

    def told(self, pages: int) -> None:
        """The WAL has so many pages by now."""
        if pages >= _PAGES:
            self._wanted.set()

    def run(self) -> None:
        """Until ``end``; a file that cannot be opened any more is for others to complain of."""
        with suppress(apsw.Error):
            db = apsw.Connection(str(self._path.absolute()), flags=apsw.SQLITE_OPEN_READWRITE)
            try:
                while self._wanted.wait() and not self._ended:
                    self._wanted.clear()
                    with suppress(apsw.BusyError, apsw.LockedError):
                        db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
            finally:
                db.close()

    def end(self) -> None:
        """Wait for its end."""
        self._ended = True
        self._wanted.set()
        if self.is_alive():
            self.join()
