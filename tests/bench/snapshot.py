"""A copy of a large table, until its indexes are there: Switchback through Kafka and embedded, and pgloader.

Whole processes are timed, one after the other in each round, on the same file and the same server.
The first copies through the broker are not counted: its Java is cold.
"""

from __future__ import annotations

import functools
from collections import defaultdict

from tests.bench import data, pgloader
from tests.bench.migration import check_same, migrating
from tests.bench.plan import Plan
from tests.bench.processes import Finished
from tests.bench.results import Line, rate, ratio

KAFKA = "Switchback through Kafka"
EMBEDDED = "Switchback, embedded log"
BEST = "pgloader at its best"
DEFAULTS = "pgloader with its defaults"
_WARMING = 2


def measure(plan: Plan) -> list[Line]:
    """Seconds and rows a second of each, ratios, memory."""
    for _ in range(_WARMING):
        _copy(plan, KAFKA, plan.rows)
    names = [KAFKA, EMBEDDED, *([BEST, DEFAULTS] if pgloader.installed() else [])]
    found: dict[str, list[Finished]] = defaultdict(list)
    for number in range(plan.runs):
        for name in names:
            found[name].append(_copy(plan, name, plan.rows))
            done = found[name][-1]
            plan.say(f"round {number + 1}: {name} {done.seconds:.1f} s ({done.cpu:.1f} s of processor time)")
    return _lines(plan, found)


def growth(plan: Plan) -> list[Line]:
    """Whether ten times the rows go at the same rate; memory is that of the larger copy."""
    rates: dict[int, list[float]] = defaultdict(list)
    peaks: dict[str, list[float]] = defaultdict(list)
    small, large = plan.rows, plan.rows * 10
    for number in range(plan.runs):
        for rows in (small, large):
            done = _copy(plan, KAFKA, rows)
            rates[rows].append(rows / done.seconds)
            plan.say(f"round {number + 1}: {rows:,} rows in {done.seconds:.1f} s")
        for name, peak in done.peaks.items():
            peaks[name].append(peak)
    lines = [Line(f"copy of {rows:,} rows", rates[rows], "rows/s") for rows in (small, large)]
    memory = [
        Line(f"memory of {name.partition('.')[0]}, copy of {large:,} rows", values, "MB", "<= 200")
        for name, values in sorted(peaks.items())
        if name.endswith(".app")
    ]
    return [*lines, ratio(f"{large:,} rows against {small:,}", lines[1], lines[0], ">= 0.9"), *memory]


def _copy(plan: Plan, name: str, rows: int) -> Finished:
    original = data.filled(rows)
    if name in {BEST, DEFAULTS}:
        options = pgloader.BEST if name == BEST else pgloader.DEFAULTS
        with plan.servers.database() as dsn, plan.servers.scratch() as folder:
            done = pgloader.load(original, dsn, options, folder)
            check_same(original, dsn, data.TABLE)
            return done
    make_source = functools.partial(data.copy_of, original)
    with migrating(plan.servers, make_source, log="kafka" if name == KAFKA else "embedded") as migration:
        done = migration.run_until_synced()
        check_same(migration.source, migration.dsn, data.TABLE)
        return done


def _lines(plan: Plan, found: dict[str, list[Finished]]) -> list[Line]:
    seconds = {name: Line(f"{name}: time", [done.seconds for done in runs], "s") for name, runs in found.items()}
    cpu = [Line(f"{name}: processor time", [done.cpu for done in runs], "s") for name, runs in found.items()]
    rates = [rate(f"{name}: rate", plan.rows, line, "rows/s") for name, line in seconds.items()]
    ratios = [
        ratio(f"{KAFKA} against {other}", seconds[other], seconds[KAFKA], goal)
        for other, goal in ((BEST, ">= 1.6"), (DEFAULTS, ">= 2"))
        if other in seconds
    ]
    memory = [
        Line(f"memory of {name}", [done.peaks.get(f"{name}.app", 0.0) for done in found[KAFKA]], "MB", "<= 200")
        for name in ("capture", "sink")
    ]
    return [*seconds.values(), *cpu, *rates, *ratios, *memory]
