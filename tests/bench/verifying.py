"""A full verification, row for row, of a large table that is in step: ``switchback verify`` as a whole process."""

from __future__ import annotations

import functools

from tests.bench import data
from tests.bench.migration import migrating
from tests.bench.plan import Plan
from tests.bench.processes import python, run
from tests.bench.results import Line


def measure(plan: Plan) -> list[Line]:
    """Rows a second, with both daemons running as they do in life."""
    make_source = functools.partial(data.copy_of, data.filled(plan.rows))
    speeds = list[float]()
    with migrating(plan.servers, make_source) as migration, migration.daemons():
        for number in range(plan.runs):
            done = run(python("operations.cli", "verify", "--json"), migration.settings)
            speeds.append(plan.rows / done.seconds)
            plan.say(f"round {number + 1}: verified {speeds[-1]:,.0f} rows/s ({done.cpu:.1f} s of processor time)")
    return [Line("full verification", speeds, "rows/s", ">= 100,000")]
