"""Producers, consumers and admin clients, with the settings that this product relies on.

* A producer sends each record once.  Were it to try again by itself, a record could come after later ones;
  here a failed send ends the writer, and the next writer's claim settles what counts.  So neither
  retries nor idempotence are wanted, and records are pipelined: several requests on one connection stay in order.
* A consumer belongs to no group and commits nothing: where to read is in the ledger.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import kafka
from kafka.errors import SaslAuthenticationFailedError
from kafka.net.compat import KafkaNetClient
from kafka.net.manager import KafkaConnectionManager
from kafka.net.selector import NetworkSelector

Settings = Mapping[str, object]
"""Settings of kafka-python that all three kinds of client know: addresses, security."""

PATIENCE_SECONDS = 10.0
"""How long a broker may be silent before the work is given up with Retry."""
BATCH_BYTES = 1_000_000
"""Small records travel together up to this size; with all overhead below the broker's default limit."""
_FETCH_BYTES = 4_000_000
_PATIENCE_MS = int(PATIENCE_SECONDS * 1000)
_METADATA_BACKOFF_MS = 10
_WAIT_MS = 100
_NEVER_MS = 24 * 3600 * 1000


def make_producer(settings: Settings) -> Any:  # noqa: ANN401  (the client has no types)
    """A producer that never sends twice."""
    own = {
        "acks": "all",
        "enable_idempotence": False,
        "retries": 0,
        "max_in_flight_requests_per_connection": 5,
        "batch_size": BATCH_BYTES,
        "linger_ms": 0,
        "max_request_size": 1_048_576,
        "max_block_ms": _PATIENCE_MS,
        "delivery_timeout_ms": _PATIENCE_MS,
    }
    return _make(kafka.KafkaProducer, {**own, **_SENDING_OR_READING, **settings})


def make_publisher(settings: Settings, largest: int) -> Any:  # noqa: ANN401
    """A producer whose records, of up to ``largest`` bytes, the broker neither doubles nor reorders.

    It never drops a record by itself, for the next one would then leave a gap: whoever uses it gives it up whole.
    """
    own = {
        "acks": "all",
        "enable_idempotence": True,
        "max_in_flight_requests_per_connection": 5,
        "batch_size": BATCH_BYTES // 2,
        "linger_ms": 2,
        "max_request_size": largest,
        "max_block_ms": _PATIENCE_MS,
        "delivery_timeout_ms": _NEVER_MS,
    }
    return _make(kafka.KafkaProducer, {**own, **_SENDING_OR_READING, **settings})


def make_consumer(settings: Settings) -> Any:  # noqa: ANN401
    """A consumer without a group that stands where it is told to, or fails."""
    own = {
        "group_id": None,
        "enable_auto_commit": False,
        "auto_offset_reset": "none",
        "check_crcs": True,
        "isolation_level": "read_uncommitted",  # the rule of acceptance decides, not somebody's transaction
        "enable_incremental_fetch_sessions": False,  # of no use for one partition
        "fetch_min_bytes": 1,
        "fetch_max_wait_ms": _WAIT_MS,  # while the broker waits for records it answers no other question
        "fetch_max_bytes": _FETCH_BYTES,
        "max_partition_fetch_bytes": _FETCH_BYTES,
        "max_poll_records": 5_000,
    }
    return _make(kafka.KafkaConsumer, {**own, **_SENDING_OR_READING, **settings})


def make_admin(settings: Settings) -> Any:  # noqa: ANN401
    """A client that makes and describes topics."""
    return _make(kafka.KafkaAdminClient, {**_ALWAYS, **settings})


_ALWAYS = {
    "client_id": "switchback",
    "request_timeout_ms": _PATIENCE_MS,
    "bootstrap_timeout_ms": _PATIENCE_MS,
    "reconnect_backoff_max_ms": 1_000,  # a broker that is back shall be found at once
    "metadata_max_age_ms": 60_000,
}
_SENDING_OR_READING = {**_ALWAYS, "allow_auto_create_topics": False, "metrics_enabled": False}


class _Connections(KafkaConnectionManager):  # type: ignore[misc]  # the client has no types
    """Keeps that a broker refused the password; the client means to, and only says that it could not bootstrap.

    It also asks for metadata as it is told to.  The client does not hand its settings on: it would have the
    broker make a topic anew that somebody deleted, and wait a tenth of a second before its first question.
    """

    def __init__(self, net: NetworkSelector, **configs: object) -> None:
        super().__init__(net, **configs)
        self.cluster.config |= {"allow_auto_create_topics": False, "retry_backoff_ms": _METADATA_BACKOFF_MS}

    async def _connect(self, node: Any, conn: Any, *given: object, **more: object) -> None:  # noqa: ANN401
        def keep(failure: Exception) -> None:
            if isinstance(failure, SaslAuthenticationFailedError):
                failures.append(failure)
                self._auth_failures[node.node_id] = failure  # whoever connects next is told

        failures: list[Exception] = []
        conn.init_future.add_errback(keep)
        await super()._connect(node, conn, *given, **more)
        if failures:
            self._auth_failures[node.node_id] = failures[-1]  # the client has forgotten it again


def _make(kind: Callable[..., Any], settings: Settings) -> Any:  # noqa: ANN401
    """Make a client; where it cannot reach the broker, its sockets and threads must not stay behind."""
    made: list[Any] = []

    def network(**configs: object) -> Any:  # noqa: ANN401
        selector = NetworkSelector(**configs)
        made.append(KafkaNetClient(selector, _Connections(selector, **configs), **configs))
        return made[-1]

    try:
        return kind(kafka_client=network, **settings)
    except BaseException:
        for client in made:
            client.close()
        raise
