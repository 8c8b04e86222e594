"""Waking up when the source changes: SQLite's own counter while there is traffic, a file watcher when there is none.

A watcher's threads cost more than a tenth of a millisecond of processor time for each commit, and asking
``PRAGMA data_version`` a few microseconds; so the watcher only stands guard over a quiet database, above a floor of
polling.  Either is a hint: whoever wakes up looks at the change log itself.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from watchdog.events import FileModifiedEvent, FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver

_QUIET_SECONDS = 1.0
_POLL_SECONDS = 0.001


class _Bell(FileSystemEventHandler):
    def __init__(self, names: frozenset[str], event: threading.Event) -> None:
        self._names = names
        self._event = event

    def on_any_event(self, event: FileSystemEvent) -> None:
        if Path(str(event.src_path)).name in self._names:
            self._event.set()


def _start_observer() -> BaseObserver | None:
    observer = Observer()
    observer.daemon = True
    try:
        observer.start()
    except OSError:  # no watches left on this machine: polling alone
        return None
    return observer


class Waker:
    """Waits for commits; ``version`` gives a number that moves with each commit of another connection."""

    def __init__(self, path: Path, version: Callable[[], int]) -> None:
        self._path = path
        self._version = version
        self._seen = version()
        self._news = time.monotonic()
        self._event = threading.Event()
        self._watching = False
        self._observer = _start_observer()

    def wait(self, floor: float) -> None:
        """Return when something was committed, or after ``floor`` seconds (ten times that on a quiet database)."""
        if time.monotonic() - self._news > _QUIET_SECONDS:
            self._watch()
            self._event.wait(floor * 10)
            self._event.clear()
            self._moved()
            return
        self._unwatch()
        end = time.monotonic() + floor
        while not self._moved() and time.monotonic() < end:
            time.sleep(_POLL_SECONDS)

    def _moved(self) -> bool:
        version = self._version()
        if version == self._seen:
            return False
        self._seen, self._news = version, time.monotonic()
        return True

    def _watch(self) -> None:
        if self._watching or self._observer is None:
            return
        names = frozenset(self._path.name + suffix for suffix in ("", "-wal", "-journal"))
        bell = _Bell(names, self._event)
        self._observer.schedule(bell, str(self._path.parent), recursive=False, event_filter=[FileModifiedEvent])
        self._watching = True

    def _unwatch(self) -> None:
        if self._watching and self._observer is not None:
            self._observer.unschedule_all()
            self._watching = False

    def close(self) -> None:
        """Stop watching."""
        if self._observer is not None:
            self._observer.stop()
            self._observer.join(1.0)
