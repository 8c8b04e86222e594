"""The ledger of acknowledged writes: what the application was told, kept outside any database.

Each writer has one file, to which it appends one line before a transaction and one after it, each
with a single ``write`` and no sync: a killed process loses nothing that it wrote.  So each
transaction is *acknowledged* (COMMIT returned), *refused* (it was rolled back) or *unknown* (killed
in between, or the answer to COMMIT got lost).  Inside each transaction the same (writer, number,
token) goes into the table ``write_ledger``, wherever the application writes at that time.  Then:
each acknowledged one must be in the final database exactly once, and no refused one may be there.

    begin <writer> <process id> <first number> <wall clock, ns>
    attempt <number> <token> <kind> <ns>
    acknowledged <number> <token> <ns>
    refused <number> <token> <reason> <ns>
    unknown <number> <token> <reason> <ns>

Times are the machine's monotonic clock, the same one for all its processes.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Literal, NamedTuple

Outcome = Literal["acknowledged", "refused", "unknown"]
Key = tuple[int, int]
"""Writer and number."""

ROWS_SQL = 'SELECT "writer", "number", "token" FROM "write_ledger"'
"""What ``compare`` wants to know of a database, of either kind."""


class LedgerFile:
    """One writer's file, open for appending; goes on where an earlier run of that writer stopped."""

    def __init__(self, folder: Path, writer: int, *, after: int = 0) -> None:
        """``after`` is the highest number that the database already holds for this writer."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"writer-{writer:03}.log"
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        _cut_torn_line(self._file)
        self.number = max([after, *(write.number for write in read_file(path).writes)])
        self.reason = ""  # of the last refusal
        self._write(f"begin {writer} {os.getpid()} {self.number + 1} {time.time_ns()}\n")

    def attempt(self, token: str, kind: str) -> int:
        """Note that a transaction begins; returns its number."""
        self.number += 1
        self._write(f"attempt {self.number} {token} {kind} {time.monotonic_ns()}\n")
        return self.number

    def acknowledge(self, token: str) -> None:
        """Note that COMMIT returned."""
        self._write(f"acknowledged {self.number} {token} {time.monotonic_ns()}\n")

    def settle(self, token: str, outcome: Literal["refused", "unknown"], reason: str) -> None:
        """Note that the transaction was rolled back, or that nobody can say."""
        self.reason = reason
        self._write(f"{outcome} {self.number} {token} {reason} {time.monotonic_ns()}\n")

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def _write(self, line: str) -> None:
        data = line.encode()
        if os.write(self._file, data) != len(data):
            raise OSError("the ledger's disk is full")


def _cut_torn_line(file: int) -> None:
    """A line without its end was never written, as far as anybody may rely on it."""
    size = os.fstat(file).st_size
    tail = os.pread(file, 4096, max(0, size - 4096))
    os.ftruncate(file, size - (len(tail) - tail.rfind(b"\n") - 1))


class Write(NamedTuple):
    """One transaction as its writer saw it; ``ended`` is None where the writer was killed. Times in ns."""

    writer: int
    number: int
    token: str
    kind: str
    began: int
    outcome: Outcome = "unknown"
    reason: str = ""
    ended: int | None = None

    @property
    def key(self) -> Key:
        """Writer and number."""
        return self.writer, self.number


class Pause(NamedTuple):
    """The time between two acknowledged writes that follow one another, over all writers; ns."""

    began: int
    ended: int

    @property
    def milliseconds(self) -> float:
        """How long it took."""
        return (self.ended - self.began) / 1e6


@dataclass
class Ledger:
    """What the files say; ``firsts`` are the writers' first numbers, ``processes`` their last process ids."""

    writes: list[Write] = field(default_factory=list)
    firsts: dict[int, int] = field(default_factory=dict)
    processes: dict[int, int] = field(default_factory=dict)

    def by_outcome(self, outcome: Outcome) -> dict[Key, Write]:
        """The writes with that outcome."""
        return {write.key: write for write in self.writes if write.outcome == outcome}

    @property
    def acknowledged(self) -> dict[Key, Write]:
        """COMMIT returned."""
        return self.by_outcome("acknowledged")

    @property
    def refused(self) -> dict[Key, Write]:
        """Rolled back, deliberately or not."""
        return self.by_outcome("refused")

    @property
    def unknown(self) -> dict[Key, Write]:
        """Killed in between; also the one that a running writer is at."""
        return self.by_outcome("unknown")

    @property
    def troubles(self) -> Counter[str]:
        """Refusals, and lost answers, that the writers did not want, by reason."""
        return Counter(
            w.reason for w in self.writes if w.outcome != "acknowledged" and w.reason not in {"", "deliberate"}
        )

    def pauses(self, since: int = 0, until: int | None = None) -> list[Pause]:
        """The gaps between acknowledged writes, over all writers, that touch that time; the longest first."""
        times = sorted(w.ended for w in self.writes if w.outcome == "acknowledged" and w.ended is not None)
        gaps = (Pause(a, b) for a, b in pairwise(times) if b > since and (until is None or a < until))
        return sorted(gaps, key=lambda pause: pause.began - pause.ended)

    @property
    def longest_pause(self) -> float:
        """The write pause in ms: the longest time in which no writer's transaction was acknowledged."""
        pauses = self.pauses()
        return pauses[0].milliseconds if pauses else 0.0

    def latency(self, quantile: float) -> float:
        """How long an acknowledged transaction took, in ms, e.g. ``latency(0.99)``; 0 if there is none."""
        times = sorted(w.ended - w.began for w in self.writes if w.outcome == "acknowledged" and w.ended is not None)
        return times[min(int(len(times) * quantile), len(times) - 1)] / 1e6 if times else 0.0


def read_ledger(folder: Path) -> Ledger:
    """All writers' files in that folder, also while they are written."""
    ledger = Ledger()
    for one in map(read_file, sorted(folder.glob("writer-*.log"))):
        ledger.writes += one.writes
        ledger.firsts |= one.firsts
        ledger.processes |= one.processes
    return ledger


def read_file(path: Path) -> Ledger:
    """One writer's file; a last line without its end is left out."""
    ledger = Ledger()
    writer = 0
    for word, *rest in _lines(path):
        if word == "begin":
            writer = int(rest[0])
            ledger.processes[writer] = int(rest[1])
            ledger.firsts.setdefault(writer, int(rest[2]))
            continue
        if word == "attempt":
            ledger.writes.append(Write(writer, int(rest[0]), rest[1], rest[2], int(rest[3])))
            continue
        ledger.writes[-1] = _settled(ledger.writes[-1], word, rest)
    return ledger


def _settled(write: Write, word: str, rest: list[str]) -> Write:
    assert (int(rest[0]), rest[1]) == (write.number, write.token), "a writer settles what it attempted last"
    if word == "acknowledged":
        return write._replace(outcome="acknowledged", ended=int(rest[2]))
    return write._replace(outcome="refused" if word == "refused" else "unknown", reason=rest[2], ended=int(rest[3]))


def _lines(path: Path) -> Iterator[list[str]]:
    with path.open(encoding="ascii") as file:
        for line in file:
            if line.endswith("\n"):
                yield line.split()


@dataclass(frozen=True)
class Comparison:
    """What a database holds against what was acknowledged."""

    acknowledged: int
    unknown_there: int
    """Writes of unknown outcome that turn out to have happened."""
    lost: tuple[Write, ...]
    """Acknowledged and absent."""
    ghosts: tuple[tuple[int, int, str], ...]
    """There, though refused or never attempted with that token."""
    doubled: tuple[Key, ...]
    """There more than once."""

    @property
    def ok(self) -> bool:
        """Whether every acknowledged write is there exactly once, and no other."""
        return not (self.lost or self.ghosts or self.doubled)


def compare(ledger: Ledger, rows: Iterable[tuple[int, int, str]]) -> Comparison:
    """Hold the rows of ``write_ledger`` (ROWS_SQL, from either database) against the ledger.

    For writers that have stopped.  Rows from before the ledger's first number are not looked at.
    """
    found = [(int(w), int(n), t) for w, n, t in rows if n >= ledger.firsts.get(w, 0)]
    there = set(found)
    possible = {(*write.key, write.token) for write in ledger.writes if write.outcome != "refused"}
    counts = Counter((writer, number) for writer, number, _ in found)
    return Comparison(
        acknowledged=len(ledger.acknowledged),
        unknown_there=sum((*write.key, write.token) in there for write in ledger.unknown.values()),
        lost=tuple(write for write in ledger.acknowledged.values() if (*write.key, write.token) not in there),
        ghosts=tuple(row for row in found if row not in possible),
        doubled=tuple(key for key, count in counts.items() if count > 1),
    )
