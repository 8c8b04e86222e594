"""A note that each daemon keeps in the state folder: where its metrics are, and why it last stopped.

Only ``status``, ``run`` and ``uninstall`` read it.  A lock beside the note is held while the daemon
lives, and the system lets go of it when the daemon dies: a note left behind by a killed one deceives
nobody.  A second instance, which will not get far, leaves the note of the first alone.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import msgspec

from shared.errors import BadInput, Stop
from shared.redaction import redact

_COMPLETED = "This stream's migration is completed. Without this file its daemons would begin a new one."
_GLANCE_SECONDS = 0.01  # how long ``is_running`` mostly holds the lock to look at it
_LOOKERS_SECONDS = 10.0  # on a busy machine a looker may be stopped while it has the lock


class Presence(msgspec.Struct):
    """The note; ``port`` is None where no metrics are served, ``error`` "" after a clean stop."""

    program: str
    stream: str
    pid: int
    started: float
    port: int | None = None
    bind: str = "127.0.0.1"
    ended: float | None = None
    exit_code: int | None = None
    trouble: str = ""  # what it waits for right now
    error: str = ""  # what ended it

    @classmethod
    def begin(cls, program: str, stream: str) -> Presence:
        """A note of this process."""
        return cls(program, stream, os.getpid(), time.time())

    def end(self, exit_code: int, error: str = "") -> None:
        """Say how it ended."""
        self.ended, self.exit_code, self.error, self.trouble = time.time(), exit_code, redact(error), ""


def note_path(state_dir: Path, stream: str, program: str) -> Path:
    """Where the note stands."""
    return state_dir / f"{stream}.{program}.json"


class Notebook:
    """Writes one daemon's note, if it is the first instance of that daemon; use as a context manager."""

    def __init__(self, state_dir: Path, note: Presence) -> None:
        self._path = note_path(state_dir, note.stream, note.program)
        self._stack = contextlib.ExitStack()
        self.note = note

    def __enter__(self) -> Self:
        with _about(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._first = self._stack.enter_context(_locked(self._path))
        self.write()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stack.close()

    def write(self) -> None:
        """Put the note in place, whole or not at all; a full disk must not end a daemon over a note."""
        if not self._first:
            return
        with contextlib.suppress(OSError):
            draft = self._path.with_suffix(".tmp")
            draft.write_bytes(msgspec.json.encode(self.note))
            draft.replace(self._path)


def read_presence(state_dir: Path, stream: str, program: str) -> Presence | None:
    """The note, or None where there is none that can be read."""
    try:
        return msgspec.json.decode(note_path(state_dir, stream, program).read_bytes(), type=Presence)
    except (OSError, msgspec.DecodeError):
        return None


def is_running(state_dir: Path, stream: str, program: str) -> bool:
    """Whether that daemon runs on this machine right now."""
    path = _lock_path(note_path(state_dir, stream, program))
    if not path.exists():
        return False
    try:
        with path.open("rb") as file:
            return not _lock(file.fileno(), fcntl.LOCK_SH)
    except OSError:
        return False


def completed_path(state_dir: Path, stream: str) -> Path:
    """A file that outlives a completed migration: a daemon that is started again would begin a new one."""
    return state_dir / f"{stream}.completed"


def completed_at(state_dir: Path, stream: str) -> float | None:
    """When that file was made (Unix time), None where there is none."""
    try:
        return completed_path(state_dir, stream).stat().st_mtime
    except OSError:
        return None


def note_completed(state_dir: Path, stream: str, epoch: int) -> None:
    """Make that file; its last word is the epoch in which the migration ended."""
    path = completed_path(state_dir, stream)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{_COMPLETED} It ended in epoch {epoch}\n")


def completed_epoch(state_dir: Path, stream: str) -> int:
    """What that file says; 0 where it says nothing of it."""
    try:
        words = completed_path(state_dir, stream).read_text().split()
    except OSError:
        return 0
    return int(words[-1]) if words and words[-1].isdigit() else 0


def check_not_completed(state_dir: Path, stream: str) -> None:
    """Stop where the stream's migration is over, as far as this machine knows."""
    path = completed_path(state_dir, stream)
    if path.exists():
        remedy = f"Nothing is left to do for the daemons. To migrate again under this name: remove {path}"
        raise Stop("the migration is completed", where=f"stream {stream}", remedy=remedy)


def _lock_path(path: Path) -> Path:
    return path.with_suffix(".running")


def _lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[bool]:
    with _lock_path(path).open("wb") as file:
        yield _lock_for_good(file.fileno())


def _lock_for_good(descriptor: int) -> bool:
    """Whoever shares the lock only looks, for as long as the system lets it; whoever refuses that is a daemon."""
    end = time.monotonic() + _LOOKERS_SECONDS
    while not (locked := _lock(descriptor, fcntl.LOCK_EX)) and time.monotonic() < end:
        if not _lock(descriptor, fcntl.LOCK_SH):
            return False
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        time.sleep(_GLANCE_SECONDS)
    return locked


@contextlib.contextmanager
def _about(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        what = f"the state folder cannot be written to: {error.strerror}"
        raise BadInput(what, where=str(path.parent), remedy="Give another one with --state-dir") from error
