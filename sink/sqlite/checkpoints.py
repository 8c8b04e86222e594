"""Bringing the WAL's pages into the file, beside the work: it waits for the disk, and writers may be waiting for us.

SQLite itself does it in whatever COMMIT finds the WAL long, which may be the one that a cutover waits for.  A thread
with a connection of its own does it without keeping anybody: a passive checkpoint takes no lock that others need.
The WAL begins anew only if nothing is committed behind the last page that was brought over.  So under a load that
never pauses the sink itself pauses, once the WAL is long, for as long as one checkpoint takes.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path

import apsw

_PAGES = 1_000  # as SQLite itself
_LONG = 4 * _PAGES
_PAUSE_SECONDS = 2.0


class Checkpointer(threading.Thread):
    """Works when it is told of a long WAL."""

    def __init__(self, path: Path) -> None:
        super().__init__(name="checkpoints", daemon=True)
        self._path = path
        self._wanted = threading.Event()
        self._rounds = threading.Condition()
        self._begun = self._done = 0
        self._whole = False
        self._too_long = _LONG
        self._ended = False

    def told(self, pages: int) -> None:
        """The WAL has so many pages by now; returns late where it has become too long, so that it can begin anew."""
        if pages < _PAGES:
            self._too_long = _LONG
            return
        if pages < self._too_long:
            self._wanted.set()
            return
        with self._rounds:
            wanted = self._begun + 1  # a round that is under way does not see the last commit
            self._whole = False
            self._wanted.set()
            self._rounds.wait_for(lambda: self._done >= wanted or not self.is_alive(), _PAUSE_SECONDS)
            if not self._whole:  # a reader stands in the way: let it be for a while
                self._too_long = pages + _LONG

    def run(self) -> None:
        """Until ``end``; a file that cannot be opened any more is for others to complain of."""
        with suppress(apsw.Error):
            db = apsw.Connection(str(self._path.absolute()), flags=apsw.SQLITE_OPEN_READWRITE)
            try:
                while self._wanted.wait() and not self._ended:
                    self._wanted.clear()
                    with self._rounds:
                        self._begun += 1
                    whole = _checkpoint(db)
                    with self._rounds:
                        self._done, self._whole = self._begun, whole
                        self._rounds.notify_all()
            finally:
                db.close()

    def end(self) -> None:
        """Wait for its end."""
        self._ended = True
        self._wanted.set()
        if self.is_alive():
            self.join()


def _checkpoint(db: apsw.Connection) -> bool:
    """Whether all that the WAL has is in the file now; what fails (disk full, locks) is tried again when told."""
    with suppress(apsw.Error):
        db.execute("PRAGMA schema_version").fetchall()  # one that never read does not know that there is a WAL
        pages, moved = db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        return 0 <= pages == moved
    return False
