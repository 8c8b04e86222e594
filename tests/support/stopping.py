"""Processes that a test puts to sleep."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

_LOCKS = Path("/proc/locks")


def is_stopped(pid: int) -> bool:
    """Whether all of its threads stand still: a signal arrives a little later than it is sent."""
    return all(_state(thread) in "tTZ" for thread in Path(f"/proc/{pid}/task").glob("*"))


def _state(thread: Path) -> str:
    with suppress(OSError):
        return (thread / "stat").read_text().rpartition(")")[2].split()[0]
    return "Z"


def holds_locks(pid: int) -> bool:
    """Whether it has a file locked for itself in the way that SQLite locks; False where the system does not tell."""
    with suppress(OSError):
        return any(f" POSIX  ADVISORY  WRITE {pid} " in line for line in _LOCKS.read_text().splitlines())
    return False
