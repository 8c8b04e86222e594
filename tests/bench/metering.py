"""What metrics cost: how long a scrape takes while the daemons are at work, and what being scraped costs them.

The same changes flow from end to end, in turns with the daemons' ports off and with both scraped every second.
The values themselves are set whether anybody scrapes or not, so what that takes is measured by itself; and a machine
that others use as well says more by processor time: of one scrape, times the scrapes, and of all that is set.
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
from typing import NamedTuple

from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from shared.groups import Header, Position
from shared.metrics import SinkMetrics
from shared.presence import read_presence
from shared.pulse import Pulse
from sink.applier import Applied
from sink.measures import Measures
from tests.bench import data, writer
from tests.bench.migration import Migration, check_same, has, migrating
from tests.bench.plan import Plan
from tests.bench.processes import Program
from tests.bench.results import Line, ratio

_TABLES = ("orders", "items", "visits", "notes")
_SCRAPES_A_SECOND = 1.0
_TIMES = 20_000
_SCRAPES = 200

_make_source = partial(data.empty, tables=_TABLES)


def measure(plan: Plan) -> list[Line]:
    """Milliseconds of a scrape; speed and processor time with ports off and scraped; microseconds a transaction."""
    found: dict[str, list[float]] = defaultdict(list)
    scrapes: dict[str, list[float]] = {"capture": [], "sink": []}
    for number in range(plan.runs):
        for port in ("off", "0") if number % 2 else ("0", "off"):
            flow = _flow(plan, port, scrapes)
            found[f"speed {port}"].append(flow.speed)
            found[f"cpu {port}"].append(flow.cpu)
            plan.say(
                f"round {number + 1}, ports {port}: {flow.speed:,.0f} changes/s, {flow.cpu:.2f} s of processor time"
            )
            if flow.scrape:
                found["scrape"].append(flow.scrape)
                found["set"].append(_set_once())
                spent = flow.scrapes * flow.scrape + flow.transactions * found["set"][-1]
                found["share"].append(spent / flow.cpu * 100)
    return [
        *(line for name, values in scrapes.items() for line in _scrape_lines(name, values)),
        Line("processor time of one scrape", [cpu * 1000 for cpu in found["scrape"]], "ms"),
        Line("metrics of one of the sink's transactions", [cpu * 1e6 for cpu in found["set"]], "us"),
        Line("share of metrics in both daemons' processor time", found["share"], "%", "< 2"),
        *_compared("changes from end to end, ports off", "both scraped every second", found, "speed", "changes/s"),
        *_compared("processor time of both daemons, ports off", "both scraped every second", found, "cpu", "s"),
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


class Flow(NamedTuple):
    """Changes a second, processor seconds of both daemons; of one scrape, the scrapes, the sink's transactions."""

    speed: float
    cpu: float
    scrape: float = 0.0
    scrapes: int = 0
    transactions: float = 0.0


def _flow(plan: Plan, port: str, times: dict[str, list[float]]) -> Flow:
    """Until all that was written is applied."""
    changes = int(plan.seconds * 15_000)
    with migrating(plan.servers, _make_source) as made:
        migration = replace(made, ports=port)
        with migration.daemons() as (capture, sink):
            before, scraped = capture.cpu + sink.cpu, _count(times)
            with _scraped(migration, times if port != "off" else {}):
                written = writer.result(writer.start(migration.source, *_TABLES, count=changes))
                ended = migration.wait(has(written.changes), capture, sink)
            speed, cpu = written.changes / (ended - written.began), capture.cpu + sink.cpu - before
            check_same(migration.source, migration.dsn, *_TABLES)
            if port == "off":
                return Flow(speed, cpu)
            once = (_cost(_address(migration, "capture"), capture) + _cost(_address(migration, "sink"), sink)) / 2
            return Flow(speed, cpu, once, _count(times) - scraped, _transactions(migration))


def _count(times: dict[str, list[float]]) -> int:
    return sum(map(len, times.values()))


def _cost(address: str, daemon: Program) -> float:
    """Processor seconds that one scrape takes of a daemon in step, beyond what it takes anyway."""
    began, before = time.perf_counter(), daemon.cpu
    for _ in range(_SCRAPES):
        _scrape(address)
    seconds, busy = time.perf_counter() - began, daemon.cpu
    time.sleep(seconds)
    return max(0.0, (busy - before) - (daemon.cpu - busy)) / _SCRAPES


def _transactions(migration: Migration) -> float:
    with urllib.request.urlopen(_address(migration, "sink"), timeout=10) as answer:
        families = text_string_to_metric_families(answer.read().decode())
        return next(family.samples[0].value for family in families if family.name == "switchback_transactions")


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
    """Seconds that it takes to set what one transaction changes."""
    measures = Measures(SinkMetrics(CollectorRegistry()), Pulse())
    header = Header("app", "i", "w", 1, 1, "changes", last_seq=10)
    applied = Applied(header, Position(1, 1, 1), 10, 0, 1, 0.01)
    began = time.process_time()
    for _ in range(_TIMES):
        measures.applied(applied)
    return (time.process_time() - began) / _TIMES
