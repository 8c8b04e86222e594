"""The topics in Kafka: made, read at their ends, written batch by batch.

A topic's last record is the ledger of what was sent to it.  For that to hold, nothing may come behind a record that
failed: all that a topic gets between two flushes is one batch of the client's, which the broker takes as a whole or
not at all, and after any failure the ends are read anew.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from contextlib import closing, suppress
from typing import Any, NamedTuple

from kafka import TopicPartition
from kafka.errors import KafkaError

from shared.errors import Hold, Retry, Stop
from shared.log.kafka.clients import PATIENCE_SECONDS, Settings, make_admin, make_consumer, make_producer
from shared.log.kafka.errors import translated
from shared.log.kafka.topics import ensure_topics, table_topic

_MARK = "switchback"  # the header that says which record of the spine's this is: lease:group:place
_BATCH_BYTES = 800_000  # well below the client's batch, so that it is one
_LARGEST_BYTES = 1_000_000
_OVERHEAD_BYTES = 120
_LINGER_MS = 5_000  # a batch waits for the flush
_DELIVERY_MS = 20_000
_LOOKS = 20


class Mark(NamedTuple):
    """Which record of the history it is: the group's lease and number, and the place in it."""

    lease: int
    number: int
    place: int

    @property
    def order(self) -> tuple[int, int]:
        """What comes before what: a number is given to one group only, whatever its lease."""
        return self.number, self.place


class Broker:
    """Writes to the stream's table topics."""

    def __init__(self, settings: Settings, bootstrap: str, *, retention_ms: int, replication: int) -> None:
        self._settings = {**settings, "bootstrap_servers": bootstrap.split(",")}
        self._where = f"broker {bootstrap}"
        self._topic = table_topic(retention_ms)
        self._replication = replication
        self._producer: Any = None
        self._pending: list[Any] = []
        self._bytes: dict[str, int] = {}

    def make(self, topics: Iterable[str]) -> None:
        """Make those that are missing; BadInput for one that is not as it must be."""
        with translated(self._where), closing(make_admin(self._settings)) as admin:
            ensure_topics(admin, dict.fromkeys(topics, self._topic), self._replication)

    def ends(self, topics: Iterable[str]) -> dict[str, Mark]:
        """The marks of the topics' last records; a topic without records is left out."""
        places = [TopicPartition(topic, 0) for topic in topics]
        with translated(self._where), closing(make_consumer(self._settings)) as consumer:
            first, end = consumer.beginning_offsets(places), consumer.end_offsets(places)
            wanted = {place: end[place] - 1 for place in places if end[place] > first[place]}
            if not wanted:
                return {}
            consumer.assign(list(wanted))
            for place, offset in wanted.items():
                consumer.seek(place, offset)
            return _last_marks(consumer, wanted)

    def send(
        self, topic: str, mark: Mark, key: bytes, value: bytes | None, headers: Iterable[tuple[str, bytes]]
    ) -> None:
        """Hand a record over; it is there after the next ``flush``."""
        size = len(key) + len(value or b"") + _OVERHEAD_BYTES
        if size > _LARGEST_BYTES:
            what = f"a record of {size:,} bytes is larger than a broker takes by default"
            raise Hold(what, where=f"topic {topic}, key {key[:200]!r}", remedy="Leave its table out: topics_exclude")
        if self._bytes.get(topic, 0) + size > _BATCH_BYTES:
            self.flush()
        self._bytes[topic] = self._bytes.get(topic, 0) + size
        marked = [(_MARK, b"%d:%d:%d" % mark), *headers]
        with translated(f"topic {topic}"):
            if self._producer is None:
                self._producer = _make_producer(self._settings)
            self._pending.append(self._producer.send(topic, value, key=key, headers=marked, partition=0))

    def flush(self) -> int:
        """Wait until all of it is acknowledged; how many records that were."""
        if not self._pending:
            return 0
        pending, self._pending = self._pending, []
        self._bytes.clear()
        with translated(self._where):
            self._producer.flush(timeout=PATIENCE_SECONDS)
            for future in pending:
                future.get(timeout=PATIENCE_SECONDS)
        return len(pending)

    def close(self) -> None:
        """Drop what was not flushed."""
        producer, self._producer = self._producer, None
        if producer is not None:
            producer._sender.force_close()  # noqa: SLF001  (close() itself first waits for what is under way)
            with suppress(KafkaError):
                producer.close(timeout=0)


def _make_producer(settings: Mapping[str, object]) -> Any:  # noqa: ANN401  (the client has no types)
    own = {"linger_ms": _LINGER_MS, "delivery_timeout_ms": _DELIVERY_MS, "max_in_flight_requests_per_connection": 1}
    return make_producer({**own, **settings})


def _last_marks(consumer: Any, wanted: Mapping[Any, int]) -> dict[str, Mark]:  # noqa: ANN401
    found: dict[str, Mark] = {}
    deadline = time.monotonic() + PATIENCE_SECONDS
    while len(found) < len(wanted):
        for place, records in consumer.poll(timeout_ms=500).items():
            found[place.topic] = _mark_of(place.topic, records[-1])
        if time.monotonic() > deadline:
            missing = sorted(place.topic for place in wanted if place.topic not in found)
            raise Retry("the broker does not give the last record", where=f"topic {missing[0]}")
    return found


def _mark_of(topic: str, record: Any) -> Mark:  # noqa: ANN401
    for name, value in record.headers or ():
        if name == _MARK:
            lease, number, place = map(int, value.split(b":"))
            return Mark(lease, number, place)
    what = "the last record is somebody else's, so what was sent before is not known"
    raise Stop(what, where=f"topic {topic}, offset {record.offset}", remedy="Delete the topic, or use another stream")
