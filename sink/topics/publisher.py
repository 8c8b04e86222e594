"""Sending records, each topic's in its order, none twice: what stands in a topic already is passed over.

The producer is idempotent and never gives up by itself, so that within its life the broker neither doubles nor
reorders a topic's records; whoever uses it gives it up with the first failure, and reads the topics' ends anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from kafka.errors import KafkaError

from shared.errors import Hold, Retry
from shared.groups import Header
from shared.log.kafka.clients import PATIENCE_SECONDS, Settings, make_publisher
from shared.log.kafka.errors import translated
from sink.topics.ends import Ends, check_history, headers_of
from sink.topics.projection import Outgoing

LARGEST_BYTES = 16_000_000
_WINDOW_BYTES = 8_000_000
_TROUBLE = (KafkaError, ValueError, OSError, RuntimeError)
_OVERHEAD = 300
_CLOSE_SECONDS = 2.0


_Window = dict[str, tuple[Any, int]]
"""By topic, the last record that was handed over, and the offset that it is meant for."""


class Publisher:
    """One producer; unusable after its first error.

    Records under way are looked at by windows of some megabytes.  A topic's offsets are dense, so that where the
    last record of a window landed as it was meant to, all before it did.
    """

    def __init__(self, client: Settings, ends: Ends) -> None:
        self._producer: Any = make_publisher(client, LARGEST_BYTES)
        self._next = {topic: end.offset for topic, end in ends.items()}
        self._sent = {topic: end.place for topic, end in ends.items()}
        self._ends = ends
        self._checked = ""
        self._history = next((end.history for end in ends.values() if end.history), "")
        self._window: _Window = {}
        self._before: _Window = {}
        self._bytes = 0

    @property
    def offsets(self) -> dict[str, int]:
        """The offset behind each topic's last record; holds after ``flush``."""
        return dict(self._next)

    def send(self, record: Outgoing, header: Header) -> bool:
        """Hand a record over unless its topic has it already; waits while some megabytes are under way."""
        topic = record.topic
        if header.epoch % 2 == 0 and header.incarnation != self._checked:
            check_history(self._ends, header.incarnation)
            self._checked = self._history = header.incarnation
        if record.place <= self._sent[topic]:
            return False
        size = len(record.key) + len(record.value or b"") + _OVERHEAD
        if size > LARGEST_BYTES:
            raise _too_large(record, size)
        offset = self._next[topic]
        headers = headers_of(record, header, self._history, offset)
        try:
            future = self._producer.send(topic, record.value, key=record.key, headers=headers, partition=0)
        except _TROUBLE:
            with self._sending(topic):
                raise
        self._sent[topic], self._next[topic] = record.place, offset + 1
        self._window[topic] = (future, offset)
        self._bytes += size
        if self._bytes > _WINDOW_BYTES:
            self._turn()
        return True

    def flush(self) -> None:
        """Wait until everything sent is durable."""
        self._turn()
        self._turn()

    def _turn(self) -> None:
        """Wait for the window before this one, which becomes the one before."""
        with self._sending("the table topics"):
            for topic, (future, meant) in self._before.items():
                offset = int(future.get(timeout=PATIENCE_SECONDS).offset)
                if offset != meant:
                    raise Retry(f"a record landed at offset {offset} and not at {meant}", where=f"topic {topic}")
        self._before, self._window, self._bytes = self._window, {}, 0

    @contextmanager
    def _sending(self, where: str) -> Iterator[None]:
        try:
            with translated(where):
                yield
        except BaseException:
            self.abandon()
            raise

    def abandon(self) -> None:
        """Drop what is under way; whether it arrives is told by the topics' ends."""
        self._before, self._window = {}, {}
        self._producer._sender.force_close()  # noqa: SLF001  (close() itself first waits for what is under way)
        self._producer._sender.join(_CLOSE_SECONDS)  # noqa: SLF001
        with suppress(KafkaError):
            self._producer.close(timeout=0)

    def close(self) -> None:
        """Close it; what was not flushed is dropped."""
        if self._before or self._window:
            self.abandon()
            return
        with suppress(KafkaError):
            self._producer.close(timeout=_CLOSE_SECONDS)


def _too_large(record: Outgoing, size: int) -> Hold:
    what = f"a record of {size:,} bytes is larger than a table topic takes ({LARGEST_BYTES:,})"
    where = f"topic {record.topic}, group {record.place.number}, index {record.place.change}"
    return Hold(what, where=where, remedy="Leave the table out (exclude), and nothing of it is published")
