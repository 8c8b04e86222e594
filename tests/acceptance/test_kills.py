"""kill -9 of both daemons at every named step, again and again, while an application writes."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from background import Background
from comparing import TABLES, assert_equal, assert_receipts
from daemons import Daemon, Migration
from shared.steps import CAPTURE_STEPS, SINK_STEPS
from traffic import TOTAL, Traffic, make_database

ROUNDS = int(os.environ.get("SWITCHBACK_TEST_KILL_ROUNDS", "6"))
"""Rounds over all steps and both logs; the suite's default comes to 204 kills."""
_ENOUGH_SECONDS = 300.0
"""A slow machine begins no round after that."""
_GRACE = 2.5
_LOGS = ["embedded", "kafka"]


@pytest.fixture(params=_LOGS)
def migration(request: pytest.FixtureRequest, tmp_path: Path, postgres_dsn: str) -> Iterator[Migration]:
    source = make_database(tmp_path / "app.db", bulk=40_000)
    log = ""
    if request.param == "kafka":
        log = f"kafka://{request.getfixturevalue('kafka_bootstrap')}"
    stream = f"kills-{tmp_path.name}"
    migration = Migration(
        source, postgres_dsn, log, stream=stream, chunk_rows="150", prune_seconds="0.1", batch_changes="60"
    )
    yield migration
    migration.kill()


class Killer(Background):
    """Starts a daemon with an order to die at each step in turn; where that does not come by in a while, kills it."""

    def __init__(self, daemon: Daemon, names: tuple[str, ...], choose: random.Random) -> None:
        super().__init__()
        self._daemon = daemon
        self._rounds = [
            [f"{name}:{choose.randint(1, 4)}" for name in choose.sample(names, len(names))] for _ in range(ROUNDS)
        ]
        self.killed: list[str] = []
        self.rounds = 0  # that were begun
        self.failure = ""

    def run(self) -> None:
        enough = time.monotonic() + _ENOUGH_SECONDS
        for steps in self._rounds:
            if time.monotonic() < enough and not self.failure:
                self.rounds += 1
                self._kill_at(steps)

    def _kill_at(self, steps: list[str]) -> None:
        for step in steps:
            if self._end.is_set():
                return
            self._daemon.start(kill_at=step)
            with suppress(AssertionError):  # it still runs: the step did not come by
                self._daemon.wait(_GRACE)
            where = "anywhere" if self._daemon.running else step
            self._daemon.kill()
            code = self._daemon.wait()  # it may have come to its step, or to a bad end, only just now
            if code != -9:
                self.failure = f"{step}: exit code {code}; it said:\n{self._daemon.output[-2000:]}"
                return
            self.killed.append(where)


class Watcher(Background):
    """The bank's sum as a reader of the replica sees it, once the accounts are copied."""

    def __init__(self, dsn: str) -> None:
        super().__init__()
        self._dsn = dsn
        self.sums: list[int] = []

    def run(self) -> None:
        with psycopg.connect(self._dsn, autocommit=True) as db:
            while not self._end.wait(0.02):
                ready = db.execute(
                    "SELECT to_regclass('switchback.copied') IS NOT NULL AND to_regclass('account') IS NOT NULL"
                ).fetchone()
                if not ready or not ready[0]:
                    continue
                row = db.execute(
                    "SELECT sum(balance)::bigint FROM account HAVING"
                    " (SELECT bool_and(done) FROM switchback.copied WHERE table_name = 'account')"
                ).fetchone()
                if row and row[0] is not None:
                    self.sums.append(row[0])


@pytest.mark.timeout(1200)
def test_no_write_is_lost_or_doubled_by_kills_at_any_step(migration: Migration) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")  # noqa: T201
    choose = random.Random(seed)
    with Traffic(migration.source, rate=50) as traffic:
        watcher = Watcher(migration.dsn)
        capture, sink = Killer(migration.capture, CAPTURE_STEPS, choose), Killer(migration.sink, SINK_STEPS, choose)
        with watcher, capture, sink:
            capture.join()
            sink.join()
            migration.start()
            migration.wait_in_step()
        traffic.end()
        migration.wait_in_step()
    assert (capture.failure, sink.failure) == ("", "")
    kills = len(capture.killed) + len(sink.killed)
    print(f"{kills} kills, {len(traffic.acknowledged)} acknowledged writes, {len(watcher.sums)} looks at the sum")  # noqa: T201
    assert min(capture.rounds, sink.rounds) >= 1
    assert kills == capture.rounds * len(CAPTURE_STEPS) + sink.rounds * len(SINK_STEPS)
    assert set(watcher.sums) <= {TOTAL}
    assert not traffic.trouble
    assert_receipts(traffic, migration.dsn)
    assert_equal(migration.source, migration.dsn, *TABLES)
