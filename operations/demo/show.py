"""``switchback demo``: a live application's database is copied, followed and proven equal, in front of your eyes.

Everything is real and runs here: an application of several processes that writes all the time, the two daemons,
and a PostgreSQL server of its own.  What the application was acknowledged is written down outside of both
databases, and counted in both at the end.
"""

from __future__ import annotations

import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from operations.cutover.flip import Options, flip
from operations.daemon import DAEMONS, Daemon
from operations.demo.generate import generate
from operations.demo.ledger import ROWS_SQL, Comparison, compare, read_ledger
from operations.demo.patience import Patience
from operations.demo.probe import PROBE, Probe
from operations.run_display import PlainDisplay
from operations.screen import out, say
from operations.status import Watch
from operations.verification.command import verify_command
from shared.embedded_postgres import EmbeddedPostgres
from shared.errors import BadInput, Retry
from shared.settings import Settings, load_settings

_MARK = "made-by-switchback-demo"
_PATIENCE = 300.0
_BUSY = "Is the machine busy? `switchback demo --rate 30` writes less"
_LOOK_SECONDS = 0.2
_SETTLE_SECONDS = 3.0
_THERE_AND_BACK = (("postgres", "cutover", "PostgreSQL"), ("sqlite", "rollback", "SQLite"))


@dataclass(frozen=True, slots=True)
class Scale:
    """How large the demo is: rows in all tables, transactions a second, seconds of following, writer processes."""

    rows: int = 60_000
    rate: int = 150
    seconds: int = 12
    writers: int = 3


def show(folder: Path, scale: Scale) -> int:
    """Run the demo in a folder of its own; 0 if everything was equal and nothing lost, else 1."""
    _clear(folder)
    with ExitStack() as stack:
        step(f"A lead-management application's SQLite database with {scale.rows:,} rows is made")
        source = folder / "app.db"
        generate(source, scale.rows, seed=1)
        step("A PostgreSQL server of the demo's own starts")
        target = stack.enter_context(_server(folder))
        step(f"The application starts: {scale.writers} processes, {scale.rate} transactions a second")
        writers = stack.enter_context(_application(source, target, folder / "ledger", scale))
        settings = _settings(source, target)
        step("switchback run: copy while the application writes")
        stack.enter_context(_daemons(settings))
        took = _wait_in_step(settings, Patience(folder / "ledger", scale.rate))
        say(f"   copied and in step after {took:.1f} s, while the application went on writing", "green")
        step(f"For {scale.seconds} s the replica follows; a reader adds up all credits on it again and again")
        probe = _follow(source, target, scale.seconds)
        step("switchback verify: row for row, while the application writes")
        code = verify_command(settings, [], False, False, False, out)  # noqa: FBT003  (its words)
        pauses = [_switch(settings, folder, *there) for there in _THERE_AND_BACK]
        step("The application stops; what it was acknowledged is looked for in both databases")
        _end(writers)
        _wait_in_step(settings)
        good = _count_writes(source, target, folder / "ledger")
    good = good and code == 0 and not probe.wrong_sums
    _say_end(good=good, pauses=pauses)
    return 0 if good else 1


def _say_end(*, good: bool, pauses: list[float]) -> None:
    if not good:
        say("\nSomething is wrong: see above.", "bold red")
        return
    there, back = pauses
    say(
        f"\nMoved with a write pause of {there:.0f} ms, moved back with {back:.0f} ms; equal, 0 writes lost.",
        "bold green",
    )


def _switch(settings: Settings, folder: Path, to: str, verb: str, name: str) -> float:
    """Change the primary under the application; the milliseconds that its writers noticed."""
    step(f"switchback {verb}: {name} becomes the primary, while the application writes")
    began = time.monotonic_ns()
    if flip(settings, to, Options()):
        raise Retry(f"{name} did not become the primary", remedy=_BUSY)
    time.sleep(_SETTLE_SECONDS)
    pauses = read_ledger(folder / "ledger").pauses(began, time.monotonic_ns())
    say(f"   the application's longest time without an acknowledged write: {pauses[0].milliseconds:.0f} ms", "green")
    return pauses[0].milliseconds


def _clear(folder: Path) -> None:
    """Make the folder, or empty it if a demo made it: what is anybody else's stays."""
    mark = folder / _MARK
    if folder.exists() and any(folder.iterdir()) and not mark.exists():
        raise BadInput("the folder is not empty", where=str(folder), remedy="Name another one with --folder")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    mark.touch()


def step(text: str) -> None:
    """The headline of what comes next."""
    say(f"\n▶ {text}", "bold")


@contextmanager
def _server(folder: Path) -> Iterator[str]:
    server = EmbeddedPostgres(folder / "postgres")
    try:
        yield server.start()
    finally:
        server.remove()


@contextmanager
def _application(source: Path, target: str, ledger: Path, scale: Scale) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "operations.demo.writer", "--database", str(source), "--ledger", str(ledger)]
    command += ["--other", target]
    command += ["--rate", str(scale.rate), "--processes", str(scale.writers), "--seed", "7"]
    writers = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        yield writers
    finally:
        _end(writers)


def _end(writers: subprocess.Popen[bytes]) -> None:
    if writers.poll() is None:
        writers.send_signal(signal.SIGTERM)
    writers.wait()


def _settings(source: Path, target: str) -> Settings:
    flags = {"source": str(source), "target": target, "stream": "demo", "capture_port": "0", "sink_port": "0"}
    return load_settings(None, {**flags, "log_level": "warning"})


@contextmanager
def _daemons(settings: Settings) -> Iterator[None]:
    daemons = [Daemon(name, settings, PlainDisplay().message) for name in DAEMONS]
    for daemon in daemons:
        daemon.start()
    try:
        yield
    finally:
        for daemon in daemons:
            daemon.ask_to_stop()
        for daemon in daemons:
            daemon.wait(10)


def _wait_in_step(settings: Settings, writing: Patience | None = None) -> float:
    """Wait until everything is copied and applied; the seconds that it took.

    While the application is ``writing`` it is enough to be in step, and where it writes too much it is told so.
    """
    began = time.monotonic()
    shown = ""
    watch = Watch(settings, time.time())
    try:
        while time.monotonic() - began < _PATIENCE:
            status = watch.look()
            done = sum(table.done for table in status.tables)
            line = f"   {status.rows:,} rows copied, {done} of {len(status.tables)} tables done"
            if status.phase == "copying" and line != shown:
                say(line)
                shown = line
            if status.synced or (writing and status.phase == "in step"):
                return time.monotonic() - began
            if status.phase == "stopped":
                break
            if writing and (said := writing.look(time.monotonic() - began, status)):
                say(said)
            time.sleep(_LOOK_SECONDS)
    finally:
        watch.close()
    raise Retry("the replica did not come in step", where=status.summary, remedy=_BUSY)


def _follow(source: Path, target: str, seconds: int) -> Probe:
    probe = Probe(source, target)
    probe.run(seconds)
    low, high = probe.quantile(0.5), probe.quantile(0.99)
    say(f"   commit in SQLite → visible in PostgreSQL: half within {low:.0f} ms, 99 % within {high:.0f} ms")
    style = "green" if not probe.wrong_sums else "red"
    say(f"   sum of credits on the replica: looked at {probe.sums:,} times, wrong {probe.wrong_sums} times", style)
    return probe


def _count_writes(source: Path, target: str, folder: Path) -> bool:
    ledger = read_ledger(folder)
    with sqlite3.connect(source) as sqlite, psycopg.connect(target) as postgres:
        there = compare(ledger, (row for row in sqlite.execute(ROWS_SQL) if row[0] != PROBE))
        copied = compare(ledger, (row for row in postgres.execute(ROWS_SQL.encode()) if row[0] != PROBE))
    say(f"   {len(ledger.acknowledged):,} writes acknowledged, {len(ledger.refused):,} rolled back or refused")
    _say_comparison("SQLite", there)
    _say_comparison("PostgreSQL", copied)
    say(f"   longest time without an acknowledged write: {ledger.longest_pause:.0f} ms")
    return there.ok and copied.ok


def _say_comparison(name: str, found: Comparison) -> None:
    text = (
        f"   {name}: {len(found.lost)} writes lost, {len(found.doubled)} doubled, {len(found.ghosts)} that were refused"
    )
    say(text, "green" if found.ok else "bold red")
