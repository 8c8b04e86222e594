"""The write pause of a cutover and of a rollback, as the application's writers see it: there and back, many times.

The demo's application (26 tables) writes 100 transactions, about 500 rows, a second; the pause is the longest
time between two acknowledged writes, of all its writers together, from the start of the operator's program until
a second after its end.  Each flip is verified.  A rehearsal before each says how long it would be.
"""

from __future__ import annotations

import re
import time
from collections import defaultdict
from pathlib import Path

from operations.demo.generate import generate
from operations.demo.ledger import Ledger, read_ledger
from tests.bench.migration import Migration, migrating
from tests.bench.plan import Plan
from tests.bench.processes import Program, python, run, running
from tests.bench.results import Line

RATE = 100  # transactions of about five row changes each
_WRITERS = 2
_SECONDS_AFTER = 1.0
_FULL_EVERY = 10  # flips between two full verifications: the log is read from the last one on
_LONG_MS = 200.0  # what a flip said that took longer is shown
_VERBS = ("cutover", "rollback")
_ESTIMATE = re.compile(r"would be about ([\d.]+) (ms|s)")


def measure(plan: Plan) -> list[Line]:
    """p50 and p99 of the pauses, in milliseconds, and how good the rehearsal's word is."""
    flips = 3 if plan.quick else 10 * plan.runs
    pauses: dict[str, list[float]] = defaultdict(list)
    estimates: dict[str, list[float]] = defaultdict(list)
    with migrating(plan.servers, lambda folder: _source(folder, plan.rows)) as migration:
        ledger = migration.source.with_name("ledger")
        with migration.daemons(), running(_application(migration, ledger)):
            time.sleep(3.0)
            for number in range(flips):
                if number % _FULL_EVERY == 0:
                    run(python("operations.cli", "verify"), migration.settings)
                for verb in _VERBS:
                    estimates[verb].append(_rehearse(migration))
                    pauses[verb].append(_flip(plan, migration, verb, ledger))
                plan.say(f"round {number + 1}: {', '.join(f'{verb} {pauses[verb][-1]:.0f} ms' for verb in _VERBS)}")
        wrong = _rate(read_ledger(ledger))
    plan.say(f"{wrong:.0f} acknowledged transactions a second on the whole")
    return [line for verb in _VERBS for line in _lines(verb, pauses[verb], estimates[verb])]


def _source(folder: Path, rows: int) -> Path:
    path = folder / "app.db"
    generate(path, rows, seed=1)
    return path


def _application(migration: Migration, ledger: Path) -> Program:
    options = ["--database", str(migration.source), "--other", migration.dsn, "--ledger", str(ledger)]
    return Program(python("operations.demo.writer", *options, "--rate", str(RATE), "--processes", str(_WRITERS)))


def _rehearse(migration: Migration) -> float:
    """The estimate, in milliseconds."""
    said = run(python("operations.cli", "rehearse"), migration.settings).output
    found = _ESTIMATE.search(said)
    if not found:
        message = f"the rehearsal gave no estimate:\n{said}"
        raise RuntimeError(message)
    return float(found[1]) * (1000 if found[2] == "s" else 1)


def _flip(plan: Plan, migration: Migration, verb: str, ledger: Path) -> float:
    began = time.monotonic_ns()
    said = run(python("operations.cli", verb), migration.settings).output
    time.sleep(_SECONDS_AFTER)
    pause = read_ledger(ledger).pauses(began, time.monotonic_ns())[0]
    if pause.milliseconds > _LONG_MS:
        plan.say(
            f"{verb}: {pause.milliseconds:.0f} ms, from {(pause.began - began) / 1e6:.0f} ms after its start\n{said}"
        )
    return pause.milliseconds


def _rate(ledger: Ledger) -> float:
    times = [write.ended for write in ledger.acknowledged.values() if write.ended is not None]
    return len(times) / ((max(times) - min(times)) / 1e9)


def _lines(verb: str, pauses: list[float], estimates: list[float]) -> list[Line]:
    ordered = sorted(pauses)
    p99 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    ratios = [estimate / pause for estimate, pause in zip(estimates, pauses, strict=True)]
    return [
        Line(
            f"write pause of a {verb}, {len(pauses)} times, {RATE} transactions/s of about 5 writes: p50",
            pauses,
            "ms",
            "< 100",
        ),
        Line(f"write pause of a {verb}: p99", [p99], "ms", "< 300"),
        Line(
            f"rehearsal's estimate against the pause of the {verb} behind it",
            ratios,
            "x",
            "0.5 to 2",
        ),
    ]
