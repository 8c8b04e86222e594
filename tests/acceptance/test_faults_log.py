"""A log that is full, gone, or another one: nothing wrong is ever applied, and the message says what to do."""

from __future__ import annotations

import sqlite3
import uuid
from contextlib import closing
from pathlib import Path
from typing import Any

import kafka
import psycopg
import pytest

from command import Command
from comparing import TABLES, assert_equal, assert_receipts
from daemons import Migration, wait_until
from fix_kafka import Broker
from fix_migration import STOPPED, Begin, Disk
from traffic import TOTAL, Traffic


def test_a_full_disk_is_waited_for(begin: Begin, disk: Disk, postgres_dsn: str) -> None:
    log = disk("size=3m") / "log.db"
    migration = begin(postgres_dsn, f"embedded:{log}", bulk=60_000)
    with Traffic(migration.source, rate=30) as traffic:
        migration.start()
        wait_until("capture waits", lambda: migration.capture.says("waiting to try again", "full", str(log)))
        wait_until("there was some traffic", lambda: len(traffic.acknowledged) > 60)
        assert not migration.in_step()
        disk("size=60m")
        migration.wait_in_step()
        traffic.end()
    migration.wait_in_step()
    assert not traffic.trouble
    assert "Traceback" not in migration.capture.output + migration.sink.output
    assert_receipts(traffic, migration.dsn)
    assert_equal(migration.source, migration.dsn, *TABLES)


def test_a_deleted_log_file_stops_it_and_a_new_copy_follows_the_remedy(migration: Migration, tmp_path: Path) -> None:
    with Traffic(migration.source, rate=30) as traffic:
        migration.start()
        migration.wait_in_step()
        migration.stop()
        _delete_log(migration)
        before = _position(migration)
        migration.start()
        migration.capture.assert_ended(STOPPED, "spine ends", "copy again")
        migration.sink.assert_ended(STOPPED, "spine ends", "copy again")
        assert _position(migration) == before
        _copy_again(migration, tmp_path)
        migration.start()
        migration.wait_in_step()
        traffic.end()
    migration.wait_in_step()
    assert_receipts(traffic, migration.dsn)
    assert_equal(migration.source, migration.dsn, *TABLES)


def test_a_log_file_deleted_under_them_stops_whoever_starts_next(migration: Migration) -> None:
    with Traffic(migration.source, rate=30) as traffic:
        migration.start()
        migration.wait_in_step()
        _delete_log(migration)
        traffic.end()
    migration.wait_in_step()  # both still have the file open
    migration.stop()
    migration.start()
    migration.capture.assert_ended(STOPPED, "spine ends", "copy again")
    migration.sink.assert_ended(STOPPED, "spine ends", "copy again")
    assert_receipts(traffic, migration.dsn)
    assert_equal(migration.source, migration.dsn, *TABLES)


@pytest.mark.parametrize("recreated", [False, True], ids=["deleted", "recreated at once"])
def test_a_topic_deleted_in_the_middle_stops_them_and_a_new_stream_copies_again(
    begin: Begin, kafka_bootstrap: str, postgres_dsn: str, tmp_path: Path, *, recreated: bool
) -> None:
    log, stream = f"kafka://{kafka_bootstrap}", f"gone-{uuid.uuid4().hex[:8]}"
    migration = begin(postgres_dsn, log, stream=stream)
    with Traffic(migration.source, rate=30) as traffic:
        migration.start()
        migration.wait_in_step()
        _delete_topic(kafka_bootstrap, f"{stream}.spine", recreate=recreated)
        migration.capture.assert_ended(STOPPED, "stream", stream, "copy again")
        migration.sink.assert_ended(STOPPED, stream, "copy again")
        _assert_one_state_of_the_source(migration, traffic)
        _copy_again(migration, tmp_path)
        again = begin(postgres_dsn, log, source=migration.source, stream=f"{stream}-2")
        again.start()
        again.wait_in_step()
        traffic.end()
    again.wait_in_step()
    assert_receipts(traffic, postgres_dsn)
    assert_equal(again.source, postgres_dsn, *TABLES)


def test_a_topic_recreated_while_they_are_away_stops_them(
    begin: Begin, kafka_bootstrap: str, postgres_dsn: str
) -> None:
    stream = f"other-{uuid.uuid4().hex[:8]}"
    migration = begin(postgres_dsn, f"kafka://{kafka_bootstrap}", stream=stream)
    with Traffic(migration.source, rate=30) as traffic:
        migration.start()
        migration.wait_in_step()
        migration.stop()
        before = _position(migration)
        _delete_topic(kafka_bootstrap, f"{stream}.spine", recreate=True)
        migration.start()
        migration.capture.assert_ended(STOPPED, "spine ends", stream, "copy again")
        migration.sink.assert_ended(STOPPED, "spine ends", stream, "copy again")
        _assert_one_state_of_the_source(migration, traffic)
    assert _position(migration) == before


def test_offsets_of_consumer_groups_are_not_looked_at(begin: Begin, kafka_bootstrap: str, postgres_dsn: str) -> None:
    stream = f"offsets-{uuid.uuid4().hex[:8]}"
    migration = begin(postgres_dsn, f"kafka://{kafka_bootstrap}", stream=stream)
    with Traffic(migration.source, rate=30) as traffic:
        migration.start()
        migration.wait_in_step()
        for group in (stream, "switchback", f"switchback-sink {stream}"):
            _commit_offset(kafka_bootstrap, group, f"{stream}.spine", 0)
        migration.sink.kill()
        migration.sink.start()
        traffic.end()
    migration.wait_in_step()
    assert_receipts(traffic, postgres_dsn)
    assert_equal(migration.source, postgres_dsn, *TABLES)


def test_a_broker_that_crashes_loses_and_doubles_nothing(begin: Begin, own_kafka: Broker, postgres_dsn: str) -> None:
    migration = begin(postgres_dsn, f"kafka://{own_kafka.bootstrap}", stream="crashes")
    with Traffic(migration.source, rate=50) as traffic:
        migration.start()
        wait_until("something is applied", lambda: (ledger := migration.ledger()) and ledger.number > 3)
        own_kafka.kill()
        own_kafka.start()
        migration.wait_in_step()
        traffic.end()
    migration.wait_in_step()
    assert "Traceback" not in migration.capture.output + migration.sink.output
    assert_receipts(traffic, postgres_dsn)
    assert_equal(migration.source, postgres_dsn, *TABLES)


def _delete_log(migration: Migration) -> None:
    log = Path(migration.settings["log"].removeprefix("embedded:"))
    for file in log.parent.glob(f"{log.name}*"):
        file.unlink()


def _delete_topic(bootstrap: str, topic: str, *, recreate: bool) -> None:
    with closing(kafka.KafkaAdminClient(bootstrap_servers=bootstrap)) as admin:
        admin.delete_topics([topic])
        if recreate:
            settings = {"cleanup.policy": "delete", "retention.ms": "-1", "max.message.bytes": "1048588"}
            wait_until("the topic is made again", lambda: _made(admin, topic, settings))


def _made(admin: Any, topic: str, settings: dict[str, str]) -> bool:
    """Whether it is there: capture, which makes what is missing, may have been quicker."""
    try:
        admin.create_topics({topic: {"num_partitions": 1, "replication_factor": 1, "configs": settings}})
    except kafka.errors.TopicAlreadyExistsError:
        return topic in admin.list_topics()
    return True


def _commit_offset(bootstrap: str, group: str, topic: str, offset: int) -> None:
    place = kafka.TopicPartition(topic, 0)
    consumer = kafka.KafkaConsumer(bootstrap_servers=bootstrap, group_id=group, enable_auto_commit=False)
    with closing(consumer):
        consumer.assign([place])
        consumer.commit({place: kafka.OffsetAndMetadata(offset, "", -1)})


def _position(migration: Migration) -> tuple[Any, ...]:
    ledger = migration.ledger()
    assert ledger
    return ledger.incarnation, ledger.position, ledger.seq


def _assert_one_state_of_the_source(migration: Migration, traffic: Traffic) -> None:
    """What is in PostgreSQL is what the source once was: no half transaction, and nothing made up."""
    with psycopg.connect(migration.dsn) as db:
        assert db.execute("SELECT sum(balance) FROM account").fetchone() == (TOTAL,)
        found = {tuple(row) for row in db.execute("SELECT writer, number FROM receipt")}
    with closing(sqlite3.connect(migration.source, timeout=30)) as source:
        written = set(source.execute("SELECT writer, number FROM receipt"))
    assert found <= written
    assert not found & traffic.refused
    for writer in (0, 1):
        numbers = sorted(number for who, number in found if who == writer)
        due = sorted(number for who, number in written if who == writer)
        assert numbers == due[: len(numbers)]


def _copy_again(migration: Migration, folder: Path) -> None:
    """What the messages tell the operator to do."""
    command = Command(folder, **migration.settings)
    done = command("uninstall", "--all", "--yes")
    assert done.code == 0, done.errors
    with psycopg.connect(migration.dsn) as db:
        for table in TABLES:
            db.execute(f'DROP TABLE "{table}" CASCADE'.encode())
