"""Switchback as a user runs it: the supervisor for a copy, the two daemons for what is watched more closely."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from shared.postgres.connection import connect
from shared.postgres.ledger import Ledger, read_ledger
from tests.bench import data
from tests.bench.processes import Finished, Program, python, run, running
from tests.bench.servers import Servers

_POLL_SECONDS = 0.01
_PATIENCE = 1800.0


@dataclass(frozen=True)
class Migration:
    """One source on its way to one target."""

    source: Path
    dsn: str
    stream: str
    log: str
    ports: str = "off"  # of both daemons' metrics; "0" takes free ones

    @property
    def settings(self) -> dict[str, str]:
        return {
            "source": str(self.source),
            "target": self.dsn,
            "stream": self.stream,
            "log": self.log,
            "capture_port": self.ports,
            "sink_port": self.ports,
            "topics_port": self.ports,
        }

    def run_until_synced(self) -> Finished:
        """``switchback run --until-synced``, from the start of the program to its end."""
        return run(python("operations.cli", "run", "--until-synced"), self.settings)

    def capture(self) -> Program:
        return Program(python("capture.app"), self.settings)

    def sink(self) -> Program:
        return Program(python("sink.app"), self.settings)

    def topics(self, **settings: str) -> Program:
        return Program(python("sink.topics.app"), {**self.settings, **settings})

    @contextmanager
    def daemons(self) -> Iterator[tuple[Program, Program]]:
        """Capture and sink, in step when they are handed over, stopped afterwards."""
        capture, sink = self.capture(), self.sink()
        with running(capture, sink):
            self.wait(lambda ledger: ledger.copied, capture, sink)
            yield capture, sink

    def wait(self, reached: Callable[[Ledger], bool], *programs: Program) -> float:
        """Wait for the ledger to say so; the time (``perf_counter``) at which it did."""
        deadline = time.perf_counter() + _PATIENCE
        with connect(self.dsn, application_name="bench") as db:
            while time.perf_counter() < deadline:
                ledger = read_ledger(db, self.stream)
                if ledger is not None and reached(ledger):
                    return time.perf_counter()
                for program in programs:
                    program.check()
                time.sleep(_POLL_SECONDS)
        message = f"waited {_PATIENCE:.0f} s in vain"
        raise RuntimeError(message)


@contextmanager
def migrating(servers: Servers, make_source: Callable[[Path], Path], *, log: str = "kafka") -> Iterator[Migration]:
    """A fresh source, database and log of that kind; nothing runs yet."""
    with ExitStack() as stack:
        folder = stack.enter_context(servers.scratch())
        source = make_source(folder)
        dsn = stack.enter_context(servers.database())
        stream, url = stack.enter_context(servers.log(log, folder))
        yield Migration(source, dsn, stream, url)


def has(seq: int) -> Callable[[Ledger], bool]:
    """Whether every change up to that one is applied."""
    return lambda ledger: ledger.seq >= seq


def count(dsn: str, table: str) -> tuple[int, int]:
    """Rows, and the sum of a column: what shows that a measured run did its work."""
    with psycopg.connect(dsn) as db:
        row = db.execute(f"SELECT count(*), coalesce(sum(i1), 0)::bigint FROM {table}".encode()).fetchone()
    assert row
    return row[0], row[1]


def check_same(source: Path, dsn: str, *tables: str) -> None:
    """Raise unless both sides agree on rows and sum: a figure for wrong data is none."""
    db = data.connect(source)
    for table in tables:
        there = tuple(db.execute(f"SELECT count(*), coalesce(sum(i1), 0) FROM {table}").fetchone())
        if there != count(dsn, table):
            message = f"{table}: {there} in SQLite, {count(dsn, table)} in PostgreSQL"
            raise RuntimeError(message)
    db.close()
