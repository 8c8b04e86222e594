"""Waking up when the source changes: SQLite's own counter while there is traffic, a file watcher when there is none.

A watcher's threads cost more than a tenth of a millisecond of processor time for each commit, and asking
``PRAGMA data_version`` a few microseconds; so the watcher only stands guard over a quiet database, above a floor of
polling.  Either is a hint: whoever wakes up looks at the change log itself.  Where the machine has no watches left,
polling has to do alone.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from watchdog.events import FileModifiedEvent, FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver

from shared.logs import Logger

_QUIET_SECONDS = 1.0
_POLL_SECONDS = 0.001
_MORE_WATCHES = "Raise fs.inotify.max_user_instances and fs.inotify.max_user_watches (sysctl), and start capture again"


class _Bell(FileSystemEventHandler):
    def __init__(self, names: frozenset[str], event: threading.Event) -> None:
        self._names = names
        self._event = event

    def on_any_event(self, event: FileSystemEvent) -> None:
        if Path(str(event.src_path)).name in self._names:
            self._event.set()


def _start_observer() -> BaseObserver:
    observer = Observer()
    observer.daemon = True
    observer.start()
    return observer


class Waker:
    """Waits for commits; ``version`` gives a number that moves with each commit of another connection."""

    def __init__(self, path: Path, version: Callable[[], int], logger: Logger) -> None:
        self._path = path
        self._version = version
        self._logger = logger
        self._seen = version()
        self._news = time.monotonic()
        self._event = threading.Event()
        self._watching = self._alone = False
        self._observer: BaseObserver | None = None  # none before the database is quiet for the first time

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
        """Begin to watch; whichever step the machine refuses (instances, watches), polling goes on alone from then."""
        if self._watching or self._alone:
            return
        names = frozenset(self._path.name + suffix for suffix in ("", "-wal", "-journal"))
        bell, folder = _Bell(names, self._event), str(self._path.parent)
        try:
            self._observer = self._observer or _start_observer()
            self._observer.schedule(bell, folder, recursive=False, event_filter=[FileModifiedEvent])
        except OSError as error:
            self._alone = True
            self.close()
            self._logger.warning("the source cannot be watched, only polled", reason=str(error), remedy=_MORE_WATCHES)
        self._watching = not self._alone

    def _unwatch(self) -> None:
        if self._watching and self._observer is not None:
            self._observer.unschedule_all()
            self._watching = False

    def close(self) -> None:
        """Stop watching."""
        if self._observer is not None:
            self._observer.stop()
            self._observer.join(1.0)
