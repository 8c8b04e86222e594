"""The log in Apache Kafka: topics ``<stream>.spine``, ``<stream>.control`` and ``<stream>.progress``.

The only module that imports kafka-python for the log.  Its defaults are not ours: the consumer here has
no group, commits nothing, creates nothing and never jumps to another offset by itself; the producer waits for
all in-sync replicas, sends to partition 0 in order, and is thrown away after any error, so that
nothing of it can arrive behind what the next claim has read.
"""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient
from kafka.errors import (
    AuthorizationError,
    KafkaError,
    MessageSizeTooLargeError,
    OffsetOutOfRangeError,
    SaslAuthenticationFailedError,
    TopicAlreadyExistsError,
)

from shared.errors import BadInput, Retry, SpineBroken, Stop, SwitchbackError
from shared.log.contract import Record, RecordStore, StoredRecord
from shared.log.kafka_topics import TopicRules, check_topic

_SECONDS = 10
_IN_FLIGHT_BYTES = 16_000_000
_CLIENT = {"reconnect_backoff_max_ms": 1_000, "bootstrap_timeout_ms": _SECONDS * 1_000}
_PRODUCER = {
    "acks": "all",
    "enable_idempotence": True,
    "linger_ms": 0,
    "batch_size": 65_536,
    "max_request_size": 1_000_000,
    "max_block_ms": _SECONDS * 1_000,
    "request_timeout_ms": _SECONDS * 1_000,
    "delivery_timeout_ms": _SECONDS * 1_000 + 1,
    "allow_auto_create_topics": False,
    "metrics_enabled": False,
}
_CONSUMER = {
    "group_id": None,
    "enable_auto_commit": False,
    "auto_offset_reset": "none",
    "allow_auto_create_topics": False,
    "check_crcs": True,
    "fetch_min_bytes": 1,
    "max_partition_fetch_bytes": 4_000_000,
    "fetch_max_bytes": 8_000_000,
    "max_poll_records": 500,
    "metrics_enabled": False,
}


class KafkaStore:
    """One topic as a log of records; clients are made when they are first needed."""

    def __init__(self, client: Mapping[str, Any], topic: str) -> None:
        self._client = client
        self._topic = topic
        self._partition = TopicPartition(topic, 0)
        self._producer: KafkaProducer | None = None
        self._consumer: KafkaConsumer | None = None
        self._position = -1
        self._sent: deque[tuple[Any, int]] = deque()
        self._in_flight = 0
        self._last = -1

    def send(self, record: Record, key: bytes | None = None) -> None:
        """Hand the record to the producer; waits while too much is under way."""
        with self._producing():
            if self._producer is None:
                self._producer = KafkaProducer(**self._client, **_PRODUCER)
            headers = [(name, bytes(value)) for name, value in record.headers]
            future = self._producer.send(self._topic, value=record.value, key=key, headers=headers, partition=0)
            self._sent.append((future, len(record.value)))
            self._in_flight += len(record.value)
            while self._in_flight > _IN_FLIGHT_BYTES:
                self._settle_oldest()

    def flush(self) -> int:
        """Wait for every acknowledgement."""
        with self._producing():
            while self._sent:
                self._settle_oldest()
        return self._last

    def _settle_oldest(self) -> None:
        future, size = self._sent[0]
        self._last = future.get(timeout=_SECONDS + 5).offset
        self._sent.popleft()
        self._in_flight -= size

    @contextlib.contextmanager
    def _producing(self) -> Iterator[None]:
        try:
            with translated(self._topic):
                yield
        except SwitchbackError:
            self._drop_producer()
            raise

    def _drop_producer(self) -> None:
        producer, self._producer = self._producer, None
        self._sent.clear()
        self._in_flight = 0
        if producer is not None:
            producer.close(timeout=0)

    def fetch(self, offset: int, timeout: float) -> list[StoredRecord]:
        """Records from that offset on."""
        deadline = time.monotonic() + timeout
        with translated(self._topic):
            consumer = self._consuming()
            try:
                if self._position != offset:
                    consumer.seek(self._partition, offset)
                    self._position = offset
                while True:
                    left = max(0.0, deadline - time.monotonic())
                    found = consumer.poll(timeout_ms=int(left * 1000)).get(self._partition, [])
                    if found or left <= 0:
                        break
            except OffsetOutOfRangeError as error:
                self._position = -1
                raise self._out_of_range(offset) from error
        records = [StoredRecord(r.offset, _headers(r.headers), r.value or b"") for r in found]
        if records:
            self._position = records[-1].offset + 1
        return records

    def _consuming(self) -> KafkaConsumer:
        if self._consumer is None:
            self._consumer = KafkaConsumer(**self._client, **_CONSUMER)
            self._consumer.assign([self._partition])
            self._position = -1
        return self._consumer

    def _out_of_range(self, offset: int) -> SwitchbackError:
        first, end = self.bounds()
        what = f"the topic holds offsets {first} to {end - 1}, and {offset} is wanted"
        remedy = "Records were removed before they were read, or the topic was made anew: copy again"
        return SpineBroken(what, where=f"topic {self._topic}", remedy=remedy)

    def bounds(self) -> tuple[int, int]:
        """The first offset kept and the next one."""
        with translated(self._topic):
            consumer, partition = self._consuming(), self._partition
            first = consumer.beginning_offsets([partition], timeout_ms=_SECONDS * 1000)[partition]
            end = consumer.end_offsets([partition], timeout_ms=_SECONDS * 1000)[partition]
        return int(first), int(end)

    def discard(self, offset: int) -> None:
        """The topic's retention decides."""

    def close(self) -> None:
        """Close what was opened."""
        self._drop_producer()
        if self._consumer is not None:
            self._consumer.close(autocommit=False, timeout_ms=1000)
            self._consumer = None


class KafkaLog:
    """A stream's topics; opening it makes those that are missing and checks those that are there."""

    def __init__(
        self,
        bootstrap: str,
        stream: str,
        *,
        options: Mapping[str, Any] | None = None,
        retention_days: int = 7,
        replication: int = 0,
    ) -> None:
        servers = [server.strip() for server in bootstrap.split(",") if server.strip()]
        client = {"bootstrap_servers": servers, "client_id": f"switchback-{stream}", **_CLIENT, **(options or {})}
        names = {role: f"{stream}.{role}" for role in ("spine", "control", "progress")}
        with translated(", ".join(servers)):
            _prepare(client, names, TopicRules(retention_days * 86_400_000, replication))
        self.spine: RecordStore = KafkaStore(client, names["spine"])
        self.control: RecordStore = KafkaStore(client, names["control"])
        self._progress = KafkaStore(client, names["progress"])
        self._reports: dict[str, bytes] = {}
        self._read = 0

    def report(self, replica: str, body: bytes) -> None:
        """Write the latest report under the replica's name; the topic is compacted."""
        self._progress.send(Record([("replica", replica.encode())], body), key=replica.encode())
        self._progress.flush()

    def reports(self) -> dict[str, bytes]:
        """The latest reports: reads what was added since the last call."""
        first, end = self._progress.bounds()
        self._read = max(self._read, first)
        while self._read < end:
            records = self._progress.fetch(self._read, 1.0)
            if not records:
                break
            for record in records:
                self._reports[dict(record.headers)["replica"].decode()] = record.value
                self._read = record.offset + 1
        return dict(self._reports)

    def close(self) -> None:
        """Close every client."""
        for store in (self.spine, self.control, self._progress):
            store.close()


def _prepare(client: Mapping[str, Any], names: Mapping[str, str], rules: TopicRules) -> None:
    admin = KafkaAdminClient(**client)
    try:
        brokers = len(admin.describe_cluster()["brokers"])
        there = {topic["name"] for topic in admin.describe_topics() if topic["error_code"] == 0}
        for role, name in names.items():
            if name not in there:
                with contextlib.suppress(TopicAlreadyExistsError):
                    admin.create_topics({name: rules.options(role, brokers)}, wait_for_metadata=True)
            check_topic(admin, role, name, rules)
    finally:
        admin.close()


def _headers(given: Any) -> list[tuple[str, bytes]]:  # noqa: ANN401  (kafka-python has no types)
    return [(name, value or b"") for name, value in given or ()]


@contextlib.contextmanager
def translated(where: str) -> Iterator[None]:
    """kafka-python's errors in our words."""
    try:
        yield
    except (AuthorizationError, SaslAuthenticationFailedError) as error:
        remedy = "Correct the user, its password or its ACLs"
        raise BadInput(f"Kafka refuses: {type(error).__name__}", where=where, remedy=remedy) from error
    except MessageSizeTooLargeError as error:
        remedy = "Raise max.message.bytes of the topic to 1000000 at least"
        raise Stop("the topic takes no records of 900 KB", where=where, remedy=remedy) from error
    except KafkaError as error:
        remedy = "It goes on by itself once the broker answers"
        raise Retry(f"Kafka: {type(error).__name__}", where=where, remedy=remedy) from error
