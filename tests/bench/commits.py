"""What capture costs the application: its single-row commits without and with the triggers, in turns.

Beside them the least that a change log with row images can cost: one INSERT of NEW's values a change, without
a time, and right for none of the hazards that our triggers are made for.

WAL, synchronous=NORMAL, one statement a transaction, one connection; the mix is that of all scenarios.
"""

from __future__ import annotations

import itertools
import time
from contextlib import closing
from pathlib import Path

from shared.sqlite.catalog import read_schema
from shared.sqlite.connection import connect, reading
from shared.sqlite.installation import install
from tests.bench import data
from tests.bench.migration import migrating
from tests.bench.plan import Plan
from tests.bench.results import Line, ratio

_COMMITS = 40_000
_BEFORE = 20_000  # rows that are there already


def measure(plan: Plan) -> list[Line]:
    """Commits a second of each kind of source, and how many times slower the others are."""
    count = 2_000 if plan.quick else _COMMITS
    plain, least, triggers, captured = list[float](), list[float](), list[float](), list[float]()
    for number in range(plan.runs):
        with plan.servers.scratch() as folder:
            plain.append(_commit(_source(folder), count))
        with plan.servers.scratch() as folder:
            least.append(_commit(_logged_barely(_source(folder)), count))
        with plan.servers.scratch() as folder:
            triggers.append(_commit(_installed(_source(folder)), count))
        with migrating(plan.servers, _source) as migration, migration.daemons():
            captured.append(_commit(migration.source, count))
        plan.say(
            f"round {number + 1}: {plain[-1]:,.0f} commits/s without capture, {least[-1]:,.0f} with the barest log, "
            f"{triggers[-1]:,.0f} with its triggers, {captured[-1]:,.0f} with both daemons at work beside it"
        )
    lines = [
        Line("without capture", plain, "commits/s"),
        Line("with the barest change log", least, "commits/s"),
        Line("triggers installed", triggers, "commits/s"),
        Line("triggers installed, both daemons at work on the same cores", captured, "commits/s"),
    ]
    return [
        *lines,
        ratio("slowdown by the barest change log", lines[0], lines[1]),
        ratio("slowdown by the triggers", lines[0], lines[2], "<= 1.4"),
        ratio("slowdown with the daemons at work", lines[0], lines[3]),
    ]


def _source(folder: Path) -> Path:
    """A source with some rows in it."""
    path = data.empty(folder)
    with closing(data.connect(path)) as db:
        db.execute("BEGIN")
        for table, event in itertools.islice(data.mix_forever([data.TABLE]), _BEFORE):
            data.perform(db, table, event)
        db.execute("COMMIT")
    return path


def _installed(path: Path) -> Path:
    with closing(connect(path)) as db:
        with reading(db):
            schema = read_schema(db)
        install(db, schema, "bench")
    return path


def _logged_barely(path: Path) -> Path:
    names = ", ".join(data.NAMES)
    with closing(connect(path)) as db:
        db.execute(f"CREATE TABLE log (seq INTEGER PRIMARY KEY, op, {names})")
        for event, values in (("INSERT", "NEW"), ("UPDATE", "NEW"), ("DELETE", "OLD")):
            image = ", ".join(f"{values}.{name}" for name in data.NAMES)
            insert = f"INSERT INTO log (op, {names}) VALUES ('{event[0]}', {image})"
            db.execute(f"CREATE TRIGGER log_{event} AFTER {event} ON {data.TABLE} BEGIN {insert}; END")
    return path


def _commit(path: Path, count: int) -> float:
    """Commits a second."""
    events = list(itertools.islice(data.mix_forever([data.TABLE], part=1), count))
    with closing(data.connect(path)) as db:
        began = time.perf_counter()
        for table, event in events:
            data.perform(db, table, event)
        return count / (time.perf_counter() - began)
