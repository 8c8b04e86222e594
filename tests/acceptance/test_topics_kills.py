"""kill -9 of the table topics' program at every named step, while an application writes: no gap, no double."""

from __future__ import annotations

import os
import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from daemons import Daemon, Migration, wait_until
from shared.log.opening import open_log
from shared.steps import TOPICS_STEPS
from table_topics import assert_published, published, wait_published
from traffic import Traffic, make_database

ROUNDS = int(os.environ.get("SWITCHBACK_TEST_KILL_ROUNDS", "1"))


@pytest.fixture
def migration(tmp_path: Path, postgres_dsn: str, kafka_bootstrap: str) -> Iterator[Migration]:
    source = make_database(tmp_path / "app.db", bulk=3_000)
    stream = f"kills-{tmp_path.name}"
    made = Migration(source, postgres_dsn, f"kafka://{kafka_bootstrap}", stream=stream, chunk_rows="300")
    yield made
    made.kill()


@pytest.fixture
def topics(migration: Migration, tmp_path: Path) -> Iterator[Daemon]:
    daemon = Daemon("topics", migration.settings, tmp_path)
    yield daemon
    daemon.kill()


def _wait_for_all(migration: Migration, topics: Daemon) -> None:
    """Until everything that the sink has applied is published."""
    ledger = migration.ledger()
    assert ledger
    with closing(open_log(migration.settings["log"], migration.stream)) as log:
        wait_published(log, migration.stream, ledger.position.number, topics)


def _assert_whole(migration: Migration, bootstrap: str) -> None:
    assert_published(migration.source, bootstrap, migration.stream)


@pytest.mark.timeout(400)
def test_killed_at_any_step_every_record_is_there_once_and_in_its_order(
    migration: Migration, topics: Daemon, kafka_bootstrap: str
) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")  # noqa: T201
    choose = random.Random(seed)
    killed = 0
    with Traffic(migration.source, rate=40) as traffic:
        migration.start()
        for step in (s for _ in range(ROUNDS) for s in choose.sample(TOPICS_STEPS, len(TOPICS_STEPS))):
            topics.start(kill_at=f"{step}:{1 if step.endswith(('claimed', 'started')) else choose.randint(1, 3)}")
            assert topics.wait() == -9, topics.output[-3000:]
            killed += 1
        topics.start()
        migration.wait_in_step()
        traffic.end()
        migration.wait_in_step()
    _wait_for_all(migration, topics)
    assert killed == ROUNDS * len(TOPICS_STEPS)
    assert not traffic.trouble
    _assert_whole(migration, kafka_bootstrap)


def test_the_later_of_two_instances_goes_on_and_the_other_one_ends(
    migration: Migration, topics: Daemon, tmp_path: Path, kafka_bootstrap: str
) -> None:
    migration.start()
    migration.wait_in_step()
    topics.start()
    with closing(open_log(f"kafka://{kafka_bootstrap}", migration.stream)) as log:
        wait_until("it publishes", lambda: published(log, migration.stream) > 0)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    second = Daemon("topics", {**migration.settings, "state_dir": str(elsewhere)}, elsewhere)
    second.start()
    try:
        topics.assert_ended(3, "another switchback-topics has taken over")
        _wait_for_all(migration, second)
        _assert_whole(migration, kafka_bootstrap)
    finally:
        second.kill()


def test_a_new_start_goes_on_at_the_last_group_without_reading_the_whole_spine(
    kafka_bootstrap: str, migration: Migration, topics: Daemon
) -> None:
    migration.start()
    migration.wait_in_step()
    topics.start()
    _wait_for_all(migration, topics)
    assert topics.stop() == 0
    with closing(sqlite3.connect(migration.source)) as db:
        db.execute("UPDATE account SET balance = balance + 1")
        db.commit()
    migration.wait_in_step()
    topics.start()
    _wait_for_all(migration, topics)
    assert len(topics.says("goes on behind", "group 0 ")) == 1
    _assert_whole(migration, kafka_bootstrap)
