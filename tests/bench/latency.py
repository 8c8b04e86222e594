"""From the commit in SQLite to the moment at which PostgreSQL shows the row, at 500 transactions a second.

A prober asks PostgreSQL for the last marker again and again.  Markers are numbered and applied in their
order, so each answer dates all markers up to it; the pause between two questions only ever adds.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import psycopg

from tests.bench import data, writer
from tests.bench.migration import Migration, migrating
from tests.bench.plan import Plan
from tests.bench.processes import Program
from tests.bench.results import Line

RATE = 500
_PAUSE_SECONDS = 0.001
_PATIENCE = 60.0
_LAST = f"SELECT coalesce(max(id), 0) FROM {data.TABLE}"


def measure(plan: Plan) -> list[Line]:
    """p50, p99 and the longest, in milliseconds, of each run."""
    runs = []
    for number in range(plan.runs):
        with migrating(plan.servers, data.empty) as migration, migration.daemons():
            waits = sorted(_waits(migration, plan.seconds * 2))
        runs.append((_quantile(waits, 0.5), _quantile(waits, 0.99), waits[-1]))
        p50, p99, longest = runs[-1]
        plan.say(f"round {number + 1}: p50 {p50:.1f} ms, p99 {p99:.1f} ms, longest {longest:.0f} ms")
    what = f"commit until visible, {RATE} transactions/s"
    names, goals = ("p50", "p99", "longest"), ("< 15", "< 100", "")
    columns = zip(*runs, strict=True)
    return [Line(f"{what}: {n}", values, "ms", g) for n, g, values in zip(names, goals, columns, strict=True)]


def _waits(migration: Migration, seconds: float) -> list[float]:
    """Milliseconds between commit and sight, one for each transaction."""
    commits = migration.source.with_name("commits.json")
    options = {"seconds": seconds, "rate": RATE, "size": 1, "inserts": 1, "commits": commits}
    application = writer.start(migration.source, data.TABLE, **options)
    last = int(seconds * RATE)  # the application may come to one more
    seen = _watch(migration.dsn, application, last)
    writer.result(application)
    return _join(commits, seen, last)


def _watch(dsn: str, application: Program, last: int) -> list[tuple[int, float]]:
    """(the last marker, when it was seen) for each answer that brought news."""
    seen = [(0, 0.0)]
    heard = time.perf_counter()
    with psycopg.connect(dsn, autocommit=True) as db, db.cursor() as cursor:
        while seen[-1][0] < last and time.perf_counter() - heard < _PATIENCE:
            row = cursor.execute(_LAST.encode(), prepare=True).fetchone()
            assert row
            if row[0] > seen[-1][0]:
                heard = time.perf_counter()
                seen.append((row[0], heard))
            time.sleep(_PAUSE_SECONDS)
            application.check()
    return seen[1:]


def _join(commits: Path, seen: list[tuple[int, float]], wanted: int) -> list[float]:
    """Marker n was the n-th commit; the first sight of n or of any later one is its sight."""
    times = json.loads(commits.read_text())[1 : wanted + 1]
    waits, number = list[float](), 0
    for last, when in seen:
        waits += [(when - committed) * 1000 for committed in times[number:last]]
        number = last
    if number < len(times):
        message = f"marker {number + 1} of {len(times)} was never seen"
        raise RuntimeError(message)
    return waits


def _quantile(values: list[float], share: float) -> float:
    return values[min(len(values) - 1, int(len(values) * share))]
