"""The sink alone, on a log that was filled before: how fast it applies a mix of changes.

The clock runs from the moment at which it has taken over the (empty) database, as Debezium's runs from the
creation of its connector in a worker that is up.

Where ``DEBEZIUM_KIT`` names the folder of a kit with Debezium's JDBC sink (``broker.sh``, ``connect.sh``,
``produce.py`` and ``bench.py`` in it, its servers running), that one drains the same mix after each of our runs.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench import data, writer
from tests.bench.migration import Migration, check_same, has, migrating
from tests.bench.plan import Plan
from tests.bench.processes import run, running
from tests.bench.results import Line, ratio

_KIT = "DEBEZIUM_KIT"
_CHANGES = 300_000
_TOPIC = "b_mix"


def measure(plan: Plan) -> list[Line]:
    """Changes a second, memory, and Debezium's figures beside them where the kit is there."""
    changes = 20_000 if plan.quick else _CHANGES
    peer = _peer(changes) if _KIT in os.environ else None
    ours, peaks, theirs, their_peaks = list[float](), list[float](), list[float](), list[float]()
    with filled_log(plan, changes) as filled:
        for number in range(plan.runs):
            speed, peak = _drain(plan, filled, changes)
            ours.append(speed)
            peaks.append(peak)
            plan.say(f"round {number + 1}: the sink alone {speed:,.0f} changes/s, {peak:.0f} MB")
            if peer:
                speed, peak = peer()
                theirs.append(speed)
                their_peaks.append(peak)
                plan.say(f"round {number + 1}: Debezium's sink {speed:,.0f} changes/s, {peak:.0f} MB")
    lines = [
        Line("Switchback's sink", ours, "changes/s", ">= 40,000"),
        Line("memory of Switchback's sink", peaks, "MB", "<= 200"),
    ]
    if theirs:
        lines += [Line("Debezium's JDBC sink", theirs, "changes/s"), Line("its memory", their_peaks, "MB")]
        lines.append(ratio("Switchback against Debezium", lines[0], lines[2]))
    return lines


@contextmanager
def filled_log(plan: Plan, changes: int) -> Iterator[Migration]:
    """A log as capture wrote it while an application wrote at full speed."""
    with migrating(plan.servers, data.empty) as migration:
        with migration.daemons() as (capture, sink):
            writer.result(writer.start(migration.source, data.TABLE, count=changes))
            migration.wait(has(changes), capture, sink)
        yield migration


def _drain(plan: Plan, filled: Migration, changes: int) -> tuple[float, float]:
    """Changes a second and peak memory of a sink that begins with an empty database."""
    with plan.servers.database() as dsn:
        migration = Migration(filled.source, dsn, filled.stream, filled.log)
        sink = migration.sink()
        with running(sink):
            began = migration.wait(lambda _ledger: True, sink)
            ended = migration.wait(has(changes), sink)
            peak = sink.peak_mb
        check_same(filled.source, dsn, data.TABLE)
        return changes / (ended - began), peak


def _peer(changes: int) -> Callable[[], tuple[float, float]]:
    """Fill Debezium's topic and warm its worker up; what drains it once, with a consumer and a table of its own."""
    kit = Path(os.environ[_KIT])
    python = kit / "venv" / "bin" / "python"
    run([python, kit / "produce.py", _TOPIC, "mixed", str(changes)])

    def drain() -> tuple[float, float]:
        said = run([python, kit / "bench.py", _TOPIC, "1", "best"]).output
        found = re.search(r"MEDIAN .*: (\d+) events/s .* rss (\d+)", said)
        assert found, said
        return float(found[1]), float(found[2])

    drain()
    return drain
