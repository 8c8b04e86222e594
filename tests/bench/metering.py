"""What metrics cost: how long a scrape takes while the daemons are at work, and what being scraped costs them.

The same changes flow from end to end, in turns with the daemons' ports off and with both scraped every second.
The values themselves are set whether anybody scrapes or not, so what that takes is measured by itself.
"""

from __future__ import annotations

import threading
import time
import urllib.request
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from prometheus_client import CollectorRegistry

from shared.groups import Header, Position
from shared.metrics import SinkMetrics
from shared.presence import read_presence
from shared.pulse import Pulse
from sink.applier import Applied
from sink.measures import Measures
from tests.bench import data, writer
from tests.bench.migration import Migration, check_same, has, migrating
from tests.bench.plan import Plan
from tests.bench.results import Line, ratio

_TABLES = ("orders", "items", "visits", "notes")
_SCRAPES_A_SECOND = 1.0
_TIMES = 20_000

_make_source = partial(data.empty, tables=_TABLES)


def measure(plan: Plan) -> list[Line]:
    """Milliseconds of a scrape; speed and processor time with ports off and scraped; microseconds a transaction."""
    found: dict[str, list[float]] = defaultdict(list)
    scrapes: dict[str, list[float]] = {"capture": [], "sink": []}
    for number in range(plan.runs):
        for port in ("off", "0") if number % 2 else ("0", "off"):
            speed, cpu = _flow(plan, port, scrapes)
            found[f"speed {port}"].append(speed)
            found[f"cpu {port}"].append(cpu)
            plan.say(f"round {number + 1}, ports {port}: {speed:,.0f} changes/s, {cpu:.2f} s of processor time")
    return [
        *(line for name, values in scrapes.items() for line in _scrape_lines(name, values)),
        *_compared("changes from end to end, ports off", "both scraped every second", found, "speed", "changes/s"),
        *_compared("processor time of both daemons, ports off", "both scraped every second", found, "cpu", "s"),
        Line("metrics of one of the sink's transactions", [_set_once() for _ in range(plan.runs)], "us"),
    ]


def _scrape_lines(name: str, values: list[float]) -> list[Line]:
    ordered = sorted(values)
    p99 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    return [
        Line(f"a full scrape of {name} at work: p50", values, "ms", "< 20"),
        Line(f"a full scrape of {name} at work: p99", [p99], "ms"),
    ]


def _compared(off: str, on: str, found: dict[str, list[float]], what: str, unit: str) -> list[Line]:
    without, scraped = Line(off, found[f"{what} off"], unit), Line(on, found[f"{what} 0"], unit)
    return [without, scraped, ratio("ratio, run by run", scraped, without, "0.98 to 1.02")]


def _flow(plan: Plan, port: str, scrapes: dict[str, list[float]]) -> tuple[float, float]:
    """Changes a second, and processor seconds, until all that was written is applied."""
    changes = int(plan.seconds * 15_000)
    with migrating(plan.servers, _make_source) as made:
        migration = replace(made, ports=port)
        with migration.daemons() as (capture, sink):
            before = capture.cpu + sink.cpu
            with _scraped(migration, scrapes if port != "off" else {}):
                written = writer.result(writer.start(migration.source, *_TABLES, count=changes))
                ended = migration.wait(has(written.changes), capture, sink)
            cpu = capture.cpu + sink.cpu - before
            check_same(migration.source, migration.dsn, *_TABLES)
    return written.changes / (ended - written.began), cpu


@contextmanager
def _scraped(migration: Migration, scrapes: dict[str, list[float]]) -> Iterator[None]:
    """Each of those daemons is scraped once a second, and how long it took is noted."""
    end = threading.Event()

    def scrape() -> None:
        while not end.wait(1 / _SCRAPES_A_SECOND):
            for name, times in scrapes.items():
                times.append(_scrape(_address(migration, name)))

    thread = threading.Thread(target=scrape, daemon=True)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()


def _address(migration: Migration, name: str) -> str:
    note = read_presence(Path(migration.source).parent / ".switchback", migration.stream, name)
    assert note is not None
    return f"http://127.0.0.1:{note.port}/metrics"


def _scrape(address: str) -> float:
    began = time.perf_counter()
    with urllib.request.urlopen(address, timeout=10) as answer:
        assert b"switchback_group" in answer.read()
    return (time.perf_counter() - began) * 1000


def _set_once() -> float:
    """Microseconds."""
    measures = Measures(SinkMetrics(CollectorRegistry()), Pulse())
    header = Header("app", "i", "w", 1, 1, "changes", last_seq=10)
    applied = Applied(header, Position(1, 1, 1), 10, 0, 1, 0.01)
    began = time.perf_counter()
    for _ in range(_TIMES):
        measures.applied(applied)
    return (time.perf_counter() - began) / _TIMES * 1e6
