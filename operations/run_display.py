"""What ``switchback run`` shows: on a terminal a bar for each table and then one live line, elsewhere plain lines."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Protocol, Self, TextIO

from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.text import Text

from operations.screen import out
from operations.wording import count, duration, side_name

if TYPE_CHECKING:  # the daemons begin before what knows of the status is loaded
    from operations.phase import Status

_WINDOW_SECONDS = 5.0
_PLAIN_SECONDS = 5.0
_PHASES_TO_EXPLAIN = {"switching", "closed", "stopped", "completed"}
_PHASES_WITH_BARS = {"copying", "finishing", "starting"}


class Display(Protocol):
    """What the supervisor tells its progress to."""

    def __enter__(self) -> Self:
        """Begin to show."""

    def __exit__(self, *error: object) -> None:
        """End showing; the last line stays."""

    def update(self, status: Status) -> None:
        """Take a new status."""

    def message(self, line: str) -> None:
        """Show a line that a daemon said; called from other threads."""


class Rates:
    """Rows and changes per second over the last seconds, since the last change of primary."""

    def __init__(self) -> None:
        self._epoch = 0
        self._seen: deque[tuple[float, int, int]] = deque()

    def add(self, status: Status) -> tuple[float, float]:
        """Take a status; rows copied and changes applied per second."""
        now = time.monotonic()
        if status.switch.epoch != self._epoch:  # changes are numbered by the other database now
            self._epoch = status.switch.epoch
            self._seen.clear()
        self._seen.append((now, status.rows, status.ledger.seq))
        while now - self._seen[0][0] > _WINDOW_SECONDS:
            self._seen.popleft()
        then, rows, seq = self._seen[0]
        seconds = max(now - then, 0.001)
        return max(0, status.rows - rows) / seconds, max(0, status.ledger.seq - seq) / seconds


def one_line(status: Status, rows: float, changes: float) -> str:
    """The line that tells everything at a glance."""
    parts = [f"{status.stream}: {status.phase}"]
    if status.switch.epoch:
        parts.append(f"{side_name(status.switch.primary)} is the primary")
    if status.phase in _PHASES_TO_EXPLAIN:
        parts.append(status.summary)
    elif status.ledger.copied and status.lag_changes is not None:
        parts.append(f"lag {count(status.lag_changes)} changes, {duration(status.lag_seconds or 0.0)}")
        parts.append(f"{count(changes)} changes/s")
        group = (
            "" if status.switch.primary == "postgres" else f", group {count(status.ledger.number)}"
        )  # SQLite's has none
        parts.append(f"change {count(status.ledger.seq)}{group}")
        parts += [f"{d.name} waits: {d.reason}" for d in status.daemons if d.state == "waiting"]
    else:
        parts.append(status.summary)
        if status.phase == "copying":
            parts.append(f"{count(rows)} rows/s")
    return " | ".join(parts)


class PlainDisplay:
    """Lines for a log file: when the phase changes, and every few seconds."""

    def __init__(self) -> None:
        self._rates = Rates()
        self._phase = ""
        self._due = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        """Nothing is held back."""

    def update(self, status: Status) -> None:
        """Print a line if it is time."""
        rows, changes = self._rates.add(status)
        now = time.monotonic()
        if status.phase == self._phase and now < self._due:
            return
        self._phase, self._due = status.phase, now + _PLAIN_SECONDS
        _write(sys.stdout, one_line(status, rows, changes))

    def message(self, line: str) -> None:
        """Pass a daemon's line on."""
        _write(sys.stderr, line)


def _write(stream: TextIO, line: str) -> None:
    """A line; the migration goes on where nobody listens any more (``switchback run | head``)."""
    with contextlib.suppress(OSError, ValueError):
        stream.write(line + "\n")
        stream.flush()


class LiveDisplay:
    """Bars and a line that are drawn again in place."""

    def __init__(self) -> None:
        self._rates = Rates()
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("{task.fields[rows]}"),
            console=out,
        )
        self._tasks: dict[str, TaskID] = {}
        self._live = Live(console=out, refresh_per_second=4)
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        self._live.start()
        self._live.update(Text("starting"))
        return self

    def __exit__(self, *_error: object) -> None:
        self._live.stop()

    def update(self, status: Status) -> None:
        """Draw it."""
        rows, changes = self._rates.add(status)
        line = Text(one_line(status, rows, changes), overflow="ellipsis", no_wrap=True)
        if status.ledger.copied or status.phase not in _PHASES_WITH_BARS:
            self._live.update(line)
            return
        self._live.update(Group(self._draw_bars(status), line))

    def message(self, line: str) -> None:
        """Print a daemon's line above."""
        with self._lock:
            out.print(Text(line), soft_wrap=True)

    def _draw_bars(self, status: Status) -> RenderableType:
        """Bars of the tables under way and to come; finished ones make room on a small screen."""
        room = max(3, out.height - 4)
        for table in status.tables:
            if table.name not in self._tasks:
                self._tasks[table.name] = self._bars.add_task(table.name, total=None, rows="")
            total = table.total or (1 if table.done else None)
            completed = total if table.done and total else table.rows
            text = count(table.rows) + (f" of {count(table.total)}" if table.total and not table.done else "")
            self._bars.update(self._tasks[table.name], completed=completed, total=total, rows=text)
        shown = sorted(status.tables, key=lambda table: table.done)[:room]
        names = {table.name for table in shown}
        for name, task in self._tasks.items():
            self._bars.update(task, visible=name in names)
        return self._bars
