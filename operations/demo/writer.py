"""Drives a live database as an application would: transactions from several processes, at a given rate.

    python -m operations.demo.writer --database app.db --ledger DIR --rate 200 --processes 3 --seed 7

Each process is a writer with its own connection and its own file in the ledger.  It notes each
transaction before and after (see ``ledger``), never repeats one, and goes on after a refusal as
people do who click once more.  SIGTERM or SIGINT lets it finish the transaction that it is at.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from random import Random
from types import FrameType

from operations.demo.application import Application
from operations.demo.following import FENCE, FollowingTarget
from operations.demo.ledger import LedgerFile, read_ledger
from operations.demo.mix import OPERATIONS, draw_kinds
from operations.demo.patience import read_share
from operations.demo.target import Refused, Unknown, open_target
from shared.errors import BadInput

ROUND = 100
"""Transactions between two looks at the ids' spans."""

BEHIND_SECONDS = 0.5
"""A writer that is later than this (it had to wait) does not catch up: no burst follows a pause."""

_TRIES = 5_000
"""Tries of a transaction that meets the fence: enough for ten seconds in which both sides are closed."""

TROUBLE_SECONDS = 0.002
"""The breath after a refusal that was not wanted."""


@dataclass(frozen=True)
class Work:
    """What one process is to do; ``rate`` in transactions a second, 0 for as fast as it goes."""

    databases: tuple[str, ...]
    ledger: Path
    writer: int
    rate: float
    seed: int
    seconds: float | None


class Stopping:
    """Whether it is time to stop: a signal came, the time is over, or the parent is gone."""

    def __init__(self, seconds: float | None = None) -> None:
        self._asked = False
        self._parent = os.getppid()
        self._end = None if seconds is None else time.monotonic() + seconds
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask)

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        self._asked = True

    def __bool__(self) -> bool:
        over = self._end is not None and time.monotonic() >= self._end
        return self._asked or over or os.getppid() != self._parent


def write(work: Work) -> None:
    """One writer, until it is told to stop."""
    stopping = Stopping(work.seconds)
    target = FollowingTarget(work.databases)
    rows = target.run('SELECT coalesce(max("number"), 0) FROM "write_ledger" WHERE "writer" = ?', (work.writer,))
    ledger = LedgerFile(work.ledger, work.writer, after=rows[0][0])
    draw = Random(f"{work.seed}:{work.writer}:{ledger.number}")  # noqa: S311  a repeatable day, no secrets
    app = Application(target, draw, work.writer)
    pace = _Pace(work.rate)
    while not stopping:
        pace.keep_to(work.rate * read_share(work.ledger))
        if not target.reconnect_if_lost() or not _look_around(app):
            continue
        for kind in draw_kinds(draw, ROUND):
            pace.wait()
            if stopping or not _transact_somewhere(app, target, ledger, kind):
                break
    target.close()
    ledger.close()


def _transact_somewhere(app: Application, target: FollowingTarget, ledger: LedgerFile, kind: str) -> bool:
    """One transaction, on the other side where this one is closed; each try has lines of its own in the ledger."""
    for _ in range(_TRIES):
        if transact(app, ledger, kind):
            return True
        if ledger.reason != FENCE:
            return False
        target.follow()
    return False


def _look_around(app: Application) -> bool:
    try:
        app.look_around()
    except Refused:
        time.sleep(TROUBLE_SECONDS)
        return False
    return True


def transact(app: Application, ledger: LedgerFile, kind: str) -> bool:
    """One transaction with its lines in the ledger; False if it met trouble that nobody had asked for."""
    token = app.token()
    number = ledger.attempt(token, kind)
    try:
        app.target.begin()
        app.run('INSERT INTO "write_ledger" ("writer", "number", "token") VALUES (?, ?, ?)', app.writer, number, token)
        OPERATIONS[kind][1](app)
        app.target.commit()
    except Refused as refusal:
        app.target.roll_back()
        ledger.settle(token, "refused", refusal.reason)
        if refusal.reason == "deliberate":
            return True
    except Unknown as unknown:
        app.target.roll_back()
        ledger.settle(token, "unknown", unknown.reason)
    else:
        ledger.acknowledge(token)
        return True
    time.sleep(TROUBLE_SECONDS)
    return False


class _Pace:
    """Keeps to a rate by a timetable; who is late goes at once, who is very late starts a new timetable."""

    def __init__(self, rate: float) -> None:
        self.keep_to(rate)
        self._next = time.monotonic()

    def keep_to(self, rate: float) -> None:
        """Another rate from now on."""
        self._step = 1 / rate if rate > 0 else 0.0

    def wait(self) -> None:
        """Until the next transaction is due."""
        if not self._step:
            return
        self._next += self._step
        early = self._next - time.monotonic()
        if early > 0:
            time.sleep(early)
        elif early < -BEHIND_SECONDS:
            self._next = time.monotonic()


def drive(works: list[Work]) -> int:
    """Run one process for each work until all have ended; returns how many ended badly."""
    stopping = Stopping()
    context = get_context("spawn")  # a fork would share connections and signal handlers
    processes = [context.Process(target=write, args=(work,), name=f"writer-{work.writer}") for work in works]
    for process in processes:
        process.start()
    while any(process.is_alive() for process in processes):
        if stopping:
            _stop(processes)
        time.sleep(0.05)
    return sum(process.exitcode not in {0, -signal.SIGTERM} for process in processes)


def _stop(processes: Sequence[BaseProcess]) -> None:
    for process in processes:
        process.terminate()
    for process in processes:
        process.join()


def main() -> None:
    """The command line; exit code 1 if a writer ended badly."""
    parser = argparse.ArgumentParser(description="Write to a demo database as its application would.")
    parser.add_argument("--database", required=True, help="a SQLite file, or a postgresql:// DSN")
    parser.add_argument("--other", help="where it goes on when the first one is closed for writes, and back")
    parser.add_argument("--ledger", type=Path, required=True, help="folder for the ledger of acknowledged writes")
    parser.add_argument("--rate", type=float, default=200.0, help="transactions/s of all processes; 0: no limit")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, help="stop after so long (default: when told to)")
    told = parser.parse_args()
    rate = told.rate / told.processes
    works = [
        Work((told.database, *([told.other] if told.other else [])), told.ledger, writer, rate, told.seed, told.seconds)
        for writer in range(1, told.processes + 1)
    ]
    try:
        open_target(told.database).close()
    except BadInput as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_code)
    bad = drive(works)
    ledger = read_ledger(told.ledger)
    sys.stdout.write(
        f"{len(ledger.acknowledged):,} acknowledged, {len(ledger.refused):,} refused, {len(ledger.unknown):,} unknown; "
        f"longest pause {ledger.longest_pause:.0f} ms, p50 {ledger.latency(0.5):.2f} ms, "
        f"p99 {ledger.latency(0.99):.2f} ms; not wanted: {dict(ledger.troubles)}\n"
    )
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
