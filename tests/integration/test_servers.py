"""The servers of the other tests are real, and break in the ways that those tests need."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import kafka
import psycopg
import pytest

from fix_kafka import Broker
from fix_proxy import CutProxy
from shared.embedded_postgres import EmbeddedPostgres
from shared.errors import BadInput


def test_each_test_has_an_empty_database_of_its_own(postgres_dsn: str) -> None:
    with psycopg.connect(postgres_dsn) as db:
        tables = db.execute("SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace").fetchone()

    assert tables == (0,)


def test_a_wrong_password_is_refused(own_postgres: EmbeddedPostgres) -> None:
    password = urlsplit(own_postgres.dsn).password or ""

    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(own_postgres.dsn.replace(password, "wrong"))


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_postgres_comes_back_with_its_data_at_the_same_address(own_postgres: EmbeddedPostgres, mode: str) -> None:
    dsn = own_postgres.dsn
    with psycopg.connect(dsn) as db:
        db.execute("CREATE TABLE kept AS SELECT 1 AS id")

    own_postgres.stop(mode)  # type: ignore[arg-type]  # one of the two
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(dsn)
    own_postgres.start()

    with psycopg.connect(dsn) as db:
        assert db.execute("SELECT id FROM kept").fetchone() == (1,)


def test_a_postgres_that_was_removed_leaves_what_is_not_its_own(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    server = EmbeddedPostgres(tmp_path)
    server.start()

    server.remove()

    assert [file.name for file in tmp_path.iterdir()] == ["notes.txt"]


def test_without_a_server_the_error_says_how_to_get_one(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path, programs=())

    with pytest.raises(BadInput, match="no PostgreSQL server is here"):
        server.start()


def test_a_broker_makes_no_topic_on_demand(kafka_bootstrap: str) -> None:
    producer = kafka.KafkaProducer(bootstrap_servers=kafka_bootstrap, max_block_ms=1500)
    try:
        with pytest.raises(kafka.errors.KafkaError):
            producer.send("nobody-made-this", b"x")
    finally:
        producer.close(timeout=1)


def test_a_killed_broker_comes_back_with_its_records_at_the_same_address(own_kafka: Broker) -> None:
    admin = kafka.KafkaAdminClient(bootstrap_servers=own_kafka.bootstrap)
    admin.create_topics({"kept": {"num_partitions": 1, "replication_factor": 1}})
    admin.close()
    producer = kafka.KafkaProducer(bootstrap_servers=own_kafka.bootstrap, acks="all")
    producer.send("kept", b"once").get(timeout=30)
    producer.close()

    own_kafka.kill()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", own_kafka.port), timeout=5)
    own_kafka.start()

    consumer = kafka.KafkaConsumer(
        "kept",
        bootstrap_servers=own_kafka.bootstrap,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        consumer_timeout_ms=30_000,
    )
    assert next(consumer).value == b"once"
    consumer.close()


def test_a_cut_wire_is_noticed_and_heals(postgres_dsn: str, cut_proxy: Callable[[str, int], CutProxy]) -> None:
    address = urlsplit(postgres_dsn)
    proxy = cut_proxy(address.hostname or "", address.port or 5432)
    through = postgres_dsn.replace(f":{address.port}/", f":{proxy.port}/")
    db = psycopg.connect(through)

    proxy.refuse()
    with pytest.raises(psycopg.OperationalError):
        db.execute("SELECT 1")
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(through)
    proxy.accept()

    with psycopg.connect(through) as again:
        assert again.execute("SELECT 1").fetchone() == (1,)
