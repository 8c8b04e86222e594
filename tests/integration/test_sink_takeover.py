"""A sink that stands still in the middle of a transaction is in nobody's way but its own stream's."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing, suppress

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from daemons import wait_until
from shared.errors import Retry, SwitchbackError
from sink.postgres.replica import PostgresReplica

_BLOCKED = "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'"


def _sink(dsn: str, stream: str, patience: int = 20) -> PostgresReplica:
    return PostgresReplica(make_conninfo(dsn, options=f"-c lock_timeout={patience}s"), stream, {}, "refuse")


@pytest.fixture
def asleep(postgres_dsn: str) -> Iterator[PostgresReplica]:
    with closing(_sink(postgres_dsn, "one")) as sink:
        sink.open()
        sink.begin()
        sink._db.execute("UPDATE switchback.ledger SET seq = 1 WHERE stream = 'one'")
        yield sink


@pytest.mark.usefixtures("asleep")
def test_the_next_sink_of_its_stream_says_at_once_that_it_waits(postgres_dsn: str) -> None:
    with closing(_sink(postgres_dsn, "one")) as second, pytest.raises(Retry, match="another sink"):
        second.open()


@pytest.mark.usefixtures("asleep")
def test_another_streams_sink_begins_meanwhile(postgres_dsn: str) -> None:
    def wait_for_the_first() -> None:
        with closing(_sink(postgres_dsn, "one")) as second, suppress(SwitchbackError):
            second.open()

    waiting = threading.Thread(target=wait_for_the_first, daemon=True)
    waiting.start()
    with psycopg.connect(postgres_dsn, autocommit=True) as db:
        wait_until("it has looked", lambda: not waiting.is_alive() or db.execute(_BLOCKED).fetchone() != (0,))
    with closing(_sink(postgres_dsn, "other", patience=5)) as other:
        ledger, _ = other.open()
    assert ledger.seq == 0
    waiting.join()
