"""Programs of their own: writers that are killed and replaced, and a reader that misses nothing."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from shared import wire
from shared.groups import Abandoned, Frame, Position
from shared.log.spine import Reader
from spines import LogPlace, claimed

WRITER = """
import signal, sys, time
from pathlib import Path
from shared import wire
from shared.groups import Change, Position
from shared.log.opening import open_log
from shared.log.spine import Writer

paused = False

def toggle(*_):
    global paused
    paused = not paused

signal.signal(signal.SIGUSR1, toggle)
url, stream, lease, lines = sys.argv[1], sys.argv[2], int(sys.argv[3]), Path(sys.argv[4])
log = open_log(url, stream)
writer = Writer(log.spine, stream, "i")
groups = writer.claim(lease, Position())
seq = max((header.last_seq for header in groups), default=0)
print("claimed", flush=True)
with lines.open("a") as file:
    while True:
        while paused:
            time.sleep(0.01)
        count = 1 + seq % 7
        size = 400_000 if seq % 11 == 0 else 10
        changes = [Change("t", "c", n, 0, [n, "x" * size]) for n in range(seq + 1, seq + count + 1)]
        first, seq = seq + 1, seq + count
        position = writer.append("changes", wire.encode_changes(changes), epoch=0, first_seq=first, last_seq=seq)
        if seq % 3 == 0:
            writer.flush()
            file.write(f"{lease} {position.number} {seq}\\n")
            file.flush()
"""


class Writing:
    """A writer in a process of its own."""

    def __init__(self, place: LogPlace, lease: int, lines: Path) -> None:
        command = [sys.executable, "-W", "ignore", "-c", WRITER, place.url, place.stream, str(lease), str(lines)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stdout
        assert self.process.stdout.readline() == "claimed\n", self.process.communicate()[1]

        # A process that is stopped inside a transaction keeps SQLite's lock: there it has to pause between two.
        self.stop_signal = signal.SIGUSR1 if place.url.startswith("embedded") else signal.SIGSTOP
        self.wake_signal = signal.SIGUSR1 if place.url.startswith("embedded") else signal.SIGCONT
        self.asleep = False

    def kill_or_stop(self) -> None:
        self.asleep = random.random() < 0.5
        os.kill(self.process.pid, self.stop_signal if self.asleep else signal.SIGKILL)

    def wake(self) -> None:
        if self.asleep:
            os.kill(self.process.pid, self.wake_signal)
        self.asleep = False

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


class Watching:
    """A reader that notes what counts."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._half: list[int] = []
        self.groups: dict[int, tuple[int, int]] = {}  # by number: lease and last seq
        self.seqs: list[int] = []

    def read(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for event in self._reader.read(0.05):
                self._note(event)

    def _note(self, event: Frame | Abandoned) -> None:
        if isinstance(event, Abandoned):
            self._half = []
            return
        self._half += [change.seq for change in wire.decode_changes(event.piece)]
        if event.header.last:
            self.groups[event.header.number] = (event.header.lease, event.header.last_seq)
            self.seqs += self._half
            self._half = []

    def last_number(self, lease: int) -> int:
        return max((number for number, (of, _) in self.groups.items() if of == lease), default=0)


@pytest.mark.slow
def test_every_group_is_seen_once_and_in_order_whatever_happens_to_its_writers(
    place: LogPlace, stream: str, tmp_path: Path
) -> None:
    """Writers are killed, or put to sleep and woken two leases too late; the reader reads on all the while."""
    flushed = tmp_path / "flushed"
    watching = Watching(Reader(place.open().spine, stream, Position()))
    writers: list[Writing] = []
    try:
        for lease in range(1, 7):
            writers.append(Writing(place, lease, flushed))
            if lease > 2:
                writers[-3].wake()
            watching.read(0.4)
            writers[-1].kill_or_stop()
        for writer in writers:
            writer.wake()
        watching.read(0.3)
    finally:
        for writer in writers:
            writer.end()
    last = claimed(place.open(), stream, 100).position.number
    while len(watching.groups) < last:
        watching.read(0.1)

    assert list(watching.groups) == list(range(1, last + 1))
    assert watching.seqs == list(range(1, len(watching.seqs) + 1))
    for line in flushed.read_text().splitlines():  # what was flushed counts, unless a claim stood before it
        lease, number, seq = map(int, line.split())
        assert watching.groups.get(number) == (lease, seq) or number > watching.last_number(lease)


def test_killed_writers_leave_no_gap(place: LogPlace, stream: str, tmp_path: Path) -> None:
    for lease in (1, 2, 3):
        writing = Writing(place, lease, tmp_path / "flushed")
        time.sleep(0.1)
        writing.end()

    log = place.open()
    last = claimed(log, stream, 9).position.number
    reader = Reader(log.spine, stream, Position())
    numbers: list[int] = []
    while not numbers or numbers[-1] < last:
        numbers += [e.header.number for e in reader.read(5) if not isinstance(e, Abandoned) and e.header.last]

    assert numbers == list(range(1, last + 1))
