"""One transaction of a million changes: it is applied whole, and neither daemon grows with it."""

from __future__ import annotations

from tests.bench import data, writer
from tests.bench.migration import check_same, has, migrating
from tests.bench.plan import Plan
from tests.bench.results import Line


def measure(plan: Plan) -> list[Line]:
    """Memory of each daemon, and seconds from its commit until it is visible."""
    changes = plan.rows
    seconds, captures, sinks = list[float](), list[float](), list[float]()
    for number in range(plan.runs if plan.full else 1):
        with (
            migrating(plan.servers, data.empty) as migration,
            migration.daemons() as (capture, sink),
        ):
            written = writer.result(writer.start(migration.source, data.TABLE, count=changes, size=changes))
            ended = migration.wait(has(changes), capture, sink)
            check_same(migration.source, migration.dsn, data.TABLE)
            seconds.append(ended - written.ended)
            captures.append(capture.peak_mb)
            sinks.append(sink.peak_mb)
            plan.say(
                f"round {number + 1}: applied {seconds[-1]:.1f} s after its commit; capture {captures[-1]:.0f} MB, "
                f"sink {sinks[-1]:.0f} MB"
            )
    return [
        Line(f"one transaction of {changes:,} changes: commit until visible", seconds, "s"),
        Line("memory of capture", captures, "MB", "<= 200"),
        Line("memory of the sink", sinks, "MB", "<= 200"),
    ]
