"""Changes from end to end through Kafka, all on this machine: application, capture, broker, sink, PostgreSQL.

First the application writes as fast as it can, and the clock runs until the last change is applied.
Then (with --full) it writes at ever higher rates, until the replica no longer keeps up.
"""

from __future__ import annotations

import functools

from tests.bench import data, writer
from tests.bench.migration import Migration, check_same, has, migrating
from tests.bench.plan import Plan
from tests.bench.processes import Program
from tests.bench.results import Line

_TABLES = ("orders", "items", "visits", "notes")
_RATES = range(10_000, 60_001, 2_500)
_KEPT_UP_SECONDS = 1.0

_make_source = functools.partial(data.empty, tables=_TABLES)


def measure(plan: Plan) -> list[Line]:
    """Changes a second from the first commit to the last change applied."""
    speeds, capture_peaks, sink_peaks = list[float](), list[float](), list[float]()
    for number in range(plan.runs):
        with migrating(plan.servers, _make_source) as migration, migration.daemons() as (capture, sink):
            written = writer.result(writer.start(migration.source, *_TABLES, seconds=plan.seconds))
            ended = migration.wait(has(written.changes), capture, sink)
            check_same(migration.source, migration.dsn, *_TABLES)
            speeds.append(written.changes / (ended - written.began))
            capture_peaks.append(capture.peak_mb)
            sink_peaks.append(sink.peak_mb)
            took = written.ended - written.began
            plan.say(
                f"round {number + 1}: {speeds[-1]:,.0f} changes/s; written at {written.changes / took:,.0f}/s, "
                f"applied {ended - written.ended:.1f} s later; processor time of capture {capture.cpu:.1f} s, "
                f"of the sink {sink.cpu:.1f} s"
            )
    lines = [
        Line("written at full speed until applied", speeds, "changes/s", ">= 20,000"),
        Line("memory of capture", capture_peaks, "MB", "<= 200"),
        Line("memory of the sink", sink_peaks, "MB", "<= 200"),
    ]
    return [*lines, _highest(plan)] if plan.full else lines


def _highest(plan: Plan) -> Line:
    """The highest rate of writing at which the last change is applied within a second of its commit."""
    best = []
    for _ in range(plan.runs):
        with migrating(plan.servers, _make_source) as migration, migration.daemons() as daemons:
            best.append(_climb(plan, migration, *daemons))
    return Line("highest rate that the replica keeps up with", best, "changes/s", ">= 20,000")


def _climb(plan: Plan, migration: Migration, *daemons: Program) -> float:
    best, seq = 0.0, 0
    for part, rate in enumerate(_RATES):
        options = {"seconds": plan.seconds, "rate": rate, "part": part}
        written = writer.result(writer.start(migration.source, *_TABLES, **options))
        seq += written.changes
        ended = migration.wait(has(seq), *daemons)
        lag, real = ended - written.ended, written.changes / (written.ended - written.began)
        plan.say(f"at {real:,.0f} changes/s the last one was applied {lag:.2f} s after its commit")
        if lag > _KEPT_UP_SECONDS or real < rate * 0.95:
            break
        best = real
    return best
