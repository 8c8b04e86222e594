"""Noticing that the env file changed: by looking, which costs two microseconds, or by being told."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver

_FLOOR_SECONDS = 0.5  # looks this often whatever the watcher says: it is a hint, and some file systems give none

Stamp = tuple[int, int, int] | None


def stamp_of(path: Path) -> Stamp:
    """Another value after each change; None where there is no file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size


@contextmanager
def watching(path: Path, changed: Callable[[], None]) -> Iterator[None]:
    """Call ``changed``, in a thread of its own, after each change of the file, until the block ends."""
    woken, ended = threading.Event(), threading.Event()
    observer = _start_observer(path, woken)
    arguments = (path, stamp_of(path), changed, woken, ended)
    thread = threading.Thread(target=_watch, args=arguments, name="env-file", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        woken.set()
        thread.join()
        if observer is not None:
            observer.stop()
            observer.join()


def _watch(
    path: Path, seen: Stamp, changed: Callable[[], None], woken: threading.Event, ended: threading.Event
) -> None:
    while not ended.is_set():
        woken.wait(_FLOOR_SECONDS)
        woken.clear()
        now = stamp_of(path)
        if now != seen and not ended.is_set():
            seen = now
            changed()


def _start_observer(path: Path, woken: threading.Event) -> BaseObserver | None:
    observer = Observer()
    observer.daemon = True
    observer.schedule(_Bell(woken), str(path.resolve().parent))
    try:
        observer.start()
    except OSError:  # no watches left on this machine: looking alone
        return None
    return observer


class _Bell(FileSystemEventHandler):
    def __init__(self, woken: threading.Event) -> None:
        self._woken = woken

    def on_any_event(self, event: FileSystemEvent) -> None:
        if event.event_type in {"moved", "created", "modified", "deleted"}:
            self._woken.set()
