"""kill -9 of both daemons at every named step, again and again, while an application writes."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from comparing import TABLES, assert_equal, assert_receipts
from daemons import Daemon, Migration
from shared.steps import CAPTURE_STEPS, SINK_STEPS
from traffic import TOTAL, Traffic, make_database

ROUNDS = int(os.environ.get("SWITCHBACK_KILL_ROUNDS", "7"))
"""Rounds over all steps and both logs; the suite's default comes to more than 200 kills."""
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


def _kill_again_and_again(daemon: Daemon, steps: list[str], killed: list[str]) -> None:
    """Start it with an order to die at each step in turn; where that does not come by in a while, kill it."""
    for step in steps:
        daemon.start(kill_at=step)
        with suppress(AssertionError):  # it still runs: the step did not come by
            daemon.wait(_GRACE)
        where = "anywhere" if daemon.running else step
        daemon.kill()
        code = daemon.wait()  # it may have come to its step, or to a bad end, only just now
        assert code == -9, f"{step}: exit code {code}; it said:\n{daemon.output[-2000:]}"
        killed.append(where)


@pytest.mark.timeout(600)
def test_no_write_is_lost_or_doubled_by_kills_at_any_step(migration: Migration) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")  # noqa: T201
    choose = random.Random(seed)
    killed: list[str] = []
    failures: list[str] = []
    sums: list[int] = []
    with Traffic(migration.source, rate=50) as traffic:
        loops = []
        for daemon, names in ((migration.capture, CAPTURE_STEPS), (migration.sink, SINK_STEPS)):
            steps = [
                f"{name}:{choose.randint(1, 4)}" for _ in range(ROUNDS) for name in choose.sample(names, len(names))
            ]
            loop = threading.Thread(target=_run_loop, args=(daemon, steps, killed, failures))
            loop.start()
            loops.append(loop)
        watch = threading.Event()
        watcher = threading.Thread(target=_watch_sum, args=(migration.dsn, watch, sums))
        watcher.start()
        for loop in loops:
            loop.join()
        migration.start()
        migration.wait_in_step(180)
        watch.set()
        watcher.join()
        traffic.end()
        migration.wait_in_step(180)
    assert failures == [], failures
    print(f"{len(killed)} kills, {len(traffic.acknowledged)} acknowledged writes, {len(sums)} looks at the sum")  # noqa: T201
    assert len(killed) == ROUNDS * (len(CAPTURE_STEPS) + len(SINK_STEPS))
    assert set(sums) <= {TOTAL}
    assert not traffic.trouble
    assert_receipts(traffic, migration.dsn)
    assert_equal(migration.source, migration.dsn, *TABLES)


def _run_loop(daemon: Daemon, steps: list[str], killed: list[str], failures: list[str]) -> None:
    try:
        _kill_again_and_again(daemon, steps, killed)
    except AssertionError as error:
        failures.append(str(error))


def _watch_sum(dsn: str, end: threading.Event, sums: list[int]) -> None:
    """The bank's sum as a reader of the replica sees it, once the accounts are copied."""
    with psycopg.connect(dsn, autocommit=True) as db:
        while not end.wait(0.02):
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
                sums.append(row[0])
