"""One topic with one partition as an ordered log of records."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from kafka import TopicPartition
from kafka.errors import KafkaError

from shared.errors import Retry, SpineBroken
from shared.log.contract import Record, StoredRecord
from shared.log.kafka.clients import PATIENCE_SECONDS, Settings, make_consumer, make_producer
from shared.log.kafka.errors import BROKEN, translated

_PENDING_BYTES = 8_000_000
_CLOSE_SECONDS = 2.0
_REMEDY = "The topic was truncated or recreated: start a new stream, or empty the target and copy again"


class KafkaStore:
    """Makes its producer and its consumer when they are first needed, and anew after an error."""

    def __init__(self, settings: Settings, topic: str) -> None:
        self._settings = settings
        self._topic = topic
        self._place = TopicPartition(topic, 0)
        self._where = f"topic {topic}"
        self._producer: Any = None
        self._pending: deque[tuple[Any, int]] = deque()
        self._pending_bytes = 0
        self._last = -1
        self._consumer: Any = None
        self._next = -1  # the offset that the consumer gives next
        self._heard = 0.0  # when the broker was last known to be there

    def warm(self) -> None:
        """Make the producer, and let it learn where the topic is, which takes a tenth of a second."""
        with self._sending():
            self._connected_producer().partitions_for(self._topic)

    def _connected_producer(self) -> Any:  # noqa: ANN401  (the client has no types)
        if self._producer is None:
            self._producer = make_producer(self._settings)
        return self._producer

    def send(self, record: Record, key: bytes | None = None) -> None:
        """Hand the record over; waits while some megabytes are under way."""
        with self._sending():
            producer = self._connected_producer()
            future = producer.send(self._topic, record.value, key=key, headers=list(record.headers), partition=0)
            size = len(record.value) + 500
            self._pending.append((future, size))
            self._pending_bytes += size
            while self._pending_bytes > _PENDING_BYTES:
                self._settle()

    def flush(self) -> int:
        """Wait for every acknowledgement; the last record's offset."""
        with self._sending():
            while self._pending:
                self._settle()
        return self._last

    def _settle(self) -> None:
        """Wait for the oldest record under way.  Out of order means void, so nothing may go on then."""
        future, size = self._pending.popleft()
        self._pending_bytes -= size
        offset = int(future.get(timeout=PATIENCE_SECONDS).offset)
        if offset <= self._last:
            raise Retry(f"the broker put a record at offset {offset}, after one at {self._last}", where=self._where)
        self._last = offset

    @contextmanager
    def _sending(self) -> Iterator[None]:
        try:
            with translated(self._where):
                yield
        except BaseException:
            self._abandon_producer()
            raise

    def _abandon_producer(self) -> None:
        """Drop what is under way; what arrives nevertheless stands before the next claim, or is void behind it."""
        producer, self._producer = self._producer, None
        self._pending.clear()
        self._pending_bytes, self._last = 0, -1
        if producer is None:
            return
        producer._sender.force_close()  # noqa: SLF001  (close() itself first waits for what is under way)
        producer._sender.join(_CLOSE_SECONDS)  # noqa: SLF001
        with suppress(KafkaError):
            producer.close(timeout=0)

    def fetch(self, offset: int, timeout: float) -> list[StoredRecord]:
        """Records from that offset on.

        Where the partition holds none but goes on (Kafka's own marks of somebody's transaction), a record
        without headers stands for them.
        """
        with self._reading(offset):
            consumer = self._consumer_at(offset)
            found = consumer.poll(timeout_ms=timeout * 1000).get(self._place, ())
            records = [StoredRecord(r.offset, r.headers, r.value or b"") for r in found]
            if not records and (position := consumer.position(self._place, timeout_ms=0)) > offset:
                records = [StoredRecord(position - 1, (), b"")]
        if records:
            self._next = records[-1].offset + 1
            self._heard = time.monotonic()
        elif time.monotonic() - self._heard > PATIENCE_SECONDS / 2:
            self._check_end(offset)
        return records

    def _consumer_at(self, offset: int) -> Any:  # noqa: ANN401  (the client has no types)
        consumer = self._connected()
        if offset != self._next:
            consumer.seek(self._place, offset)
            self._next = offset
        return consumer

    def _connected(self) -> Any:  # noqa: ANN401
        if self._consumer is None:
            self._consumer = make_consumer(self._settings)
            self._consumer.assign([self._place])
            self._next, self._heard = -1, time.monotonic()
        return self._consumer

    def _check_end(self, offset: int) -> None:
        """The client waits for a broker that is away, or for a topic that is gone, without a word: ask."""
        end = self.bounds()[1]
        if offset > end:
            what = f"the topic ends at offset {end - 1}, before {offset}"
            raise SpineBroken(what, where=self._where, remedy=_REMEDY)

    def bounds(self) -> tuple[int, int]:
        """The first offset kept and the next one."""
        places, patience = [self._place], PATIENCE_SECONDS / 2 * 1000
        with self._reading():
            consumer = self._connected()
            first = int(consumer.beginning_offsets(places, timeout_ms=patience)[self._place])
            end = int(consumer.end_offsets(places, timeout_ms=patience)[self._place])
        self._heard = time.monotonic()
        return first, end

    @contextmanager
    def _reading(self, offset: int = 0) -> Iterator[None]:
        try:
            with translated(self._where):
                try:
                    yield
                except BROKEN as error:
                    first, end = self.bounds()
                    what = f"the topic holds offsets {first} to {end - 1}, and not what follows {offset - 1}"
                    raise SpineBroken(what, where=self._where, remedy=_REMEDY) from error
        except BaseException:
            self._abandon_consumer()
            raise

    def _abandon_consumer(self) -> None:
        consumer, self._consumer, self._next = self._consumer, None, -1
        if consumer is not None:
            with suppress(KafkaError, RuntimeError):
                consumer.close(autocommit=False, timeout_ms=_CLOSE_SECONDS * 1000)

    def discard(self, offset: int) -> None:
        """Nothing to do: the topic's retention removes old records."""

    def close(self) -> None:
        """Close both clients; records that were not flushed may be lost."""
        self._abandon_consumer()
        if self._pending:
            self._abandon_producer()
        elif self._producer is not None:
            with suppress(KafkaError):
                self._producer.close(timeout=_CLOSE_SECONDS)
            self._producer = None
