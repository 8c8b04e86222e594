"""The table topics as any consumer reads them: every change once and in order, whatever happens to the program."""

from __future__ import annotations

import base64
import json
import random
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg
import pytest
from kafka import KafkaConsumer, TopicPartition

from command import QuickCommand
from daemons import Daemon, Migration, wait_until
from fix_migration import Begin
from shared.steps import TOPICS_STEPS
from traffic import Traffic

_TABLES = ("account", "item", "part", "receipt", "bulk")


class Topics:
    """A migration with the topics' program beside it, and a plain consumer."""

    def __init__(self, migration: Migration, bootstrap: str) -> None:
        self.migration, self._bootstrap = migration, bootstrap
        self.program = Daemon("topics", {**migration.settings, "topics_port": "off"}, migration.source.parent)

    def read(self, table: str) -> list[Any]:
        """All records of a table's topic."""
        place = TopicPartition(f"{self.migration.stream}.{table}", 0)
        with closing(KafkaConsumer(bootstrap_servers=self._bootstrap, auto_offset_reset="earliest")) as consumer:
            consumer.assign([place])
            end = consumer.end_offsets([place])[place]
            records: list[Any] = []
            while consumer.position(place) < end:
                for found in consumer.poll(timeout_ms=500).values():
                    records += found
        return records

    def rows(self, table: str) -> dict[str, Any]:
        """What a consumer that keeps the last state of each key has."""
        state: dict[str, Any] = {}
        for record in self.read(table):
            key = record.key.decode()
            event = json.loads(record.value) if record.value is not None else {"op": "d"}
            if event["op"] == "d":
                state.pop(key, None)
            else:
                state[key] = event["after"]
        return state

    def published(self) -> bool:
        """Whether a consumer has what SQLite has."""
        with closing(sqlite3.connect(self.migration.source)) as db:
            db.row_factory = sqlite3.Row
            for table in _TABLES:
                wanted = [_plain(dict(row)) for row in db.execute(f"SELECT * FROM {table}")]
                found = list(self.rows(table).values())
                if sorted(map(json.dumps, found)) != sorted(map(json.dumps, wanted)):
                    return False
        return True


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: base64.b64encode(value).decode() if isinstance(value, bytes) else value for name, value in row.items()
    }


@pytest.fixture
def topics(begin: Begin, kafka_bootstrap: str, postgres_dsn: str) -> Iterator[Topics]:
    migration = begin(postgres_dsn, f"kafka://{kafka_bootstrap}", stream=f"topics-{uuid.uuid4().hex[:8]}", bulk=2_000)
    topics = Topics(migration, kafka_bootstrap)
    yield topics
    topics.program.kill()


def _assert_each_once(topics: Topics) -> None:
    """A consumer sees what was written, in order, without a gap: each update follows upon the state before it."""
    for table in _TABLES:
        marks = [tuple(map(int, dict(record.headers)["switchback"].split(b":")[1:])) for record in topics.read(table)]
        assert marks == sorted(set(marks)), f"{table}: a record twice, or out of order"


def test_a_consumer_comes_to_what_the_application_has(topics: Topics) -> None:
    topics.migration.start()
    topics.program.start()
    with Traffic(topics.migration.source, rate=40) as traffic:
        topics.migration.wait_in_step()
        wait_until("some writes", lambda: len(traffic.acknowledged) > 100)
    wait_until("all is published", topics.published)
    _assert_each_once(topics)
    kinds = {json.loads(record.value)["op"] for record in topics.read("item") if record.value}
    assert kinds >= {"c", "d"}
    assert {json.loads(record.value)["op"] for record in topics.read("bulk") if record.value} == {"r", "u"}


def test_it_goes_on_over_a_cutover_and_back(topics: Topics) -> None:
    topics.migration.start()
    topics.program.start()
    topics.migration.wait_in_step()
    command = QuickCommand(topics.migration.source.parent, **topics.migration.settings)
    assert command("cutover", "--unverified").code == 0
    with psycopg.connect(topics.migration.dsn) as db:
        db.execute("UPDATE bulk SET a = -7 WHERE id < 50")
        db.execute("DELETE FROM bulk WHERE id = 60")
    wait_until("it may go back", lambda: command("rollback", "--unverified").code == 0)
    with closing(sqlite3.connect(topics.migration.source)) as file, file:
        file.execute("UPDATE bulk SET a = -8 WHERE id = 70")
    wait_until("all is published", topics.published)
    _assert_each_once(topics)
    assert {json.loads(record.value)["source"]["epoch"] for record in topics.read("bulk") if record.value} == {0, 1, 2}


def test_no_kill_makes_a_gap_or_a_double(topics: Topics) -> None:
    choose = random.Random(4)
    topics.migration.start()
    with Traffic(topics.migration.source, rate=40):
        for _ in range(2):
            for step in choose.sample(TOPICS_STEPS, len(TOPICS_STEPS)):
                topics.program.start(kill_at=f"{step}:{choose.randint(1, 40 if step == 'record-sent' else 3)}")
                assert topics.program.wait() == -9, topics.program.output[-2000:]
    topics.program.start()
    wait_until("all is published", topics.published)
    _assert_each_once(topics)
    assert topics.program.stop() == 0
