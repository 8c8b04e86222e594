"""A sink that stands still in the middle of a transaction is in nobody's way but its own stream's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest
from psycopg.conninfo import make_conninfo

from shared.errors import Retry
from sink.postgres.replica import PostgresReplica


def _sink(dsn: str, stream: str) -> PostgresReplica:
    return PostgresReplica(make_conninfo(dsn, options="-c lock_timeout=20s"), stream, {}, "refuse")


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
def test_another_streams_sink_begins(postgres_dsn: str) -> None:
    with closing(_sink(postgres_dsn, "other")) as other:
        ledger, _ = other.open()
    assert ledger.seq == 0
