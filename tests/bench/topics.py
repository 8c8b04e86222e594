"""The table topics alone, on a log that was filled before: how fast the spine becomes records for everybody.

The clock runs from the moment at which the program has claimed its topics until its own record of progress is past the
last group, which it writes twice a second: after the last acknowledgement, and up to half a second late.
"""

from __future__ import annotations

import time
from contextlib import closing

import kafka
import msgspec

from shared.log.contract import LogBackend
from shared.log.opening import open_log
from sink.topics.progress import Published
from tests.bench import data
from tests.bench.applying import filled_log
from tests.bench.migration import Migration
from tests.bench.plan import Plan
from tests.bench.processes import Program, running
from tests.bench.results import Line

_CHANGES = 300_000
_FORMATS = ("plain", "schema")
_POLL_SECONDS = 0.02
_PATIENCE = 600.0


def measure(plan: Plan) -> list[Line]:
    """Records a second of wall-clock time, and of the program's processor time."""
    changes = 20_000 if plan.quick else _CHANGES
    speeds: dict[str, list[float]] = {form: [] for form in _FORMATS}
    peaks: list[float] = []
    with filled_log(plan, changes) as filled, closing(open_log(filled.log, filled.stream)) as log:
        for number in range(plan.runs):
            for form in _FORMATS:
                prefix = f"{filled.stream}.{form}{number}"
                program = filled.topics(topics_prefix=prefix, topics_format=form)
                with running(program):
                    seconds = _drain(log, prefix, _last_group(log), program)
                    records = _records(filled, f"{prefix}.{data.TABLE}")
                    peaks.append(program.peak_mb)
                    plan.say(
                        f"round {number + 1}: {form} {records / seconds:,.0f} records/s, "
                        f"{records / program.cpu:,.0f} a second of processor time, {program.peak_mb:.0f} MB"
                    )
                    speeds[form].append(records / seconds)
    return [
        Line("plain JSON", speeds["plain"], "records/s", ">= 15,000"),
        Line("with the schema in each record", speeds["schema"], "records/s", ">= 15,000"),
        Line("memory", peaks, "MB"),
    ]


def _last_group(log: LogBackend) -> int:
    """The last group that the sink applied, by its own report."""
    return int(msgspec.json.decode(log.reports()["postgres"])["number"])


def _drain(log: LogBackend, prefix: str, last: int, program: Program) -> float:
    """Seconds from the claim until everything up to that group is published."""
    began, deadline = 0.0, time.perf_counter() + _PATIENCE
    while time.perf_counter() < deadline:
        body = log.reports().get(f"topics {prefix}")
        if body is not None:
            began = began or time.perf_counter()
            if msgspec.json.decode(body, type=Published).number >= last:
                return time.perf_counter() - began
        program.check()
        time.sleep(_POLL_SECONDS)
    message = f"waited {_PATIENCE:.0f} s in vain"
    raise RuntimeError(message)


def _records(filled: Migration, topic: str) -> int:
    place = kafka.TopicPartition(topic, 0)
    consumer = kafka.KafkaConsumer(bootstrap_servers=filled.log.removeprefix("kafka://"), group_id=None)
    with closing(consumer):
        return int(consumer.end_offsets([place])[place])
