"""Waking up when the source changes: a file watcher's hint over a floor of polling.

The watcher may miss or invent events; whoever wakes up looks at the database itself.
"""

from __future__ import annotations

import threading
from pathlib import Path

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer


class _Bell(FileSystemEventHandler):
    def __init__(self, names: frozenset[str], event: threading.Event) -> None:
        self._names = names
        self._event = event

    def on_any_event(self, event: FileSystemEvent) -> None:
        if event.event_type in {"opened", "closed_no_write"}:
            return
        if Path(str(event.src_path)).name in self._names:
            self._event.set()


class Waker:
    """Watches a database's files; without a watcher (no inotify left) polling alone remains."""

    def __init__(self, path: Path) -> None:
        self._event = threading.Event()
        self._observer = None
        names = frozenset(path.name + suffix for suffix in ("", "-wal", "-journal"))
        observer = Observer()
        observer.daemon = True
        observer.schedule(_Bell(names, self._event), str(path.parent), recursive=False)
        try:
            observer.start()
        except OSError:
            return
        self._observer = observer

    def wait(self, seconds: float) -> None:
        """Return when something was written, or after that time."""
        self._event.wait(seconds)
        self._event.clear()

    def close(self) -> None:
        """Stop watching."""
        if self._observer is not None:
            self._observer.stop()
            self._observer.join(1.0)
