"""`switchback complete` and the table topics: what the log held by then is published, however late that is."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from daemons import Daemon
from fix_migration import STOPPED
from fix_world import MakeWorld, World
from shared.log.opening import open_log
from shared.steps import TOPICS_STEPS
from table_topics import assert_published, last_group, published, records

_ROWS = """
INSERT INTO bulk (a, b)
  WITH RECURSIVE number(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM number WHERE n < ?)
  SELECT 0, printf('%200d', n) FROM number
"""


@pytest.fixture
def world(postgres_dsn: str, kafka_bootstrap: str, make_world: MakeWorld) -> World:
    return make_world(postgres_dsn, f"kafka://{kafka_bootstrap}")


@pytest.fixture
def topics(world: World, tmp_path: Path) -> Iterator[Daemon]:
    """On a machine of its own, as far as it can tell."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    daemon = Daemon("topics", {**world.migration.settings, "state_dir": str(elsewhere)}, elsewhere)
    yield daemon
    daemon.kill()


def _write_much(source: Path) -> None:
    """What takes longer to publish than it takes to hear of the completion; 0 adds nothing to the writers' counters."""
    with closing(sqlite3.connect(source, timeout=30, isolation_level=None)) as db:
        for _ in range(20):
            db.execute(_ROWS, (5_000,))


def _complete(world: World) -> None:
    said = world.command("complete", "--yes")
    assert said.code == 0, said.out + said.errors


def _assert_all_published(world: World, bootstrap: str) -> None:
    migration = world.migration
    assert_published(migration.source, bootstrap, migration.stream)
    receipts = records(bootstrap, f"{migration.stream}.receipt")
    assert {receipt.value["source"]["epoch"] for receipt in receipts if receipt.value} == {0, 1}


def test_one_that_was_late_publishes_what_the_log_holds_and_then_ends(
    world: World, topics: Daemon, kafka_bootstrap: str
) -> None:
    topics.start()
    world.writes_go_on()
    topics.freeze()
    _write_much(world.migration.source)
    world.flip("cutover")
    world.end()
    _complete(world)
    topics.thaw()

    topics.assert_ended(STOPPED, "the migration is completed")

    _assert_all_published(world, kafka_bootstrap)


def test_one_that_is_killed_and_started_after_the_completion_goes_on_until_nothing_is_left(
    world: World, topics: Daemon, kafka_bootstrap: str
) -> None:
    world.flip("cutover")
    world.end()
    _complete(world)
    for step in TOPICS_STEPS:
        topics.start(kill_at=step)
        assert topics.wait() == -9, topics.output[-3000:]
    topics.start()
    topics.assert_ended(STOPPED, "the migration is completed")
    _assert_all_published(world, kafka_bootstrap)
    begun = topics.says("goes on behind")

    topics.start()

    topics.assert_ended(STOPPED, "the migration is completed")
    assert topics.says("goes on behind") == begun


def test_while_the_application_goes_on_all_that_capture_still_wrote_is_published(world: World, topics: Daemon) -> None:
    """Capture hears of the completion by itself: a group that it was at comes later than that."""
    topics.start()
    world.flip("cutover")
    world.writes_go_on()
    _complete(world)

    topics.assert_ended(STOPPED, "the migration is completed")

    migration = world.migration
    migration.capture.assert_ended(STOPPED, "the migration is completed")
    with closing(open_log(migration.settings["log"], migration.stream)) as log:
        assert published(log, migration.stream) == last_group(log, migration.stream)
