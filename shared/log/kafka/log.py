"""A stream's place in Kafka: ``<stream>.spine``, ``<stream>.control`` and ``<stream>.progress``."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from contextlib import closing

from shared.errors import BadInput, NoLog, Retry
from shared.log.contract import Record, StoredRecord
from shared.log.kafka.certificate import check_certificate
from shared.log.kafka.clients import PATIENCE_SECONDS, make_admin
from shared.log.kafka.errors import translated
from shared.log.kafka.store import KafkaStore
from shared.log.kafka.topics import Topic, ensure_topics, missing_topics, topics_of, try_topics

RETENTION_MS = 7 * 24 * 3600 * 1000
_NAME = re.compile(r"[A-Za-z0-9._-]{1,200}")


class KafkaLog:
    """Opening it makes the topics that are missing, unless told not to, and checks those that are there.

    ``bootstrap`` is "host:port,..."; ``client`` holds kafka-python's settings for security.  Raises Retry while
    no broker answers, BadInput where a topic or the access to it is not as it must be, NoLog where none is made.
    """

    def __init__(  # noqa: PLR0913  (what there is to know of a log)
        self,
        bootstrap: str,
        stream: str,
        client: Mapping[str, object] | None = None,
        *,
        retention_ms: int = RETENTION_MS,
        replication: int = 0,
        make: bool = True,
    ) -> None:
        topics = _topics_of(stream, retention_ms)
        spine, control, progress = topics
        settings = _settings(bootstrap, client)
        with translated(f"broker {bootstrap}"), closing(make_admin(settings)) as admin:
            if not make and (missing := missing_topics(admin, topics)):
                raise NoLog(f"kafka://{bootstrap}, topics {', '.join(missing)}")
            ensure_topics(admin, topics, replication)
        self.spine = KafkaStore(settings, spine)
        self.control = KafkaStore(settings, control)
        self._progress = KafkaStore(settings, progress)
        self._reports: dict[str, bytes] = {}
        self._read = 0

    def report(self, replica: str, body: bytes) -> None:
        """Keep the latest report of a replica."""
        self._progress.send(Record([("replica", replica.encode())], body), key=replica.encode())
        self._progress.flush()

    def reports(self) -> dict[str, bytes]:
        """The latest reports; reads only what came since the last call."""
        first, end = self._progress.bounds()
        if end < self._read:  # the topic was made anew
            self._read = 0
            self._reports.clear()
        self._read = max(self._read, first)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self._read < end:
            for record in self._progress.fetch(self._read, 1.0):
                self._note(record)
            if time.monotonic() > deadline:
                raise Retry("the broker does not give the replicas' reports")
        return dict(self._reports)

    def _note(self, record: StoredRecord) -> None:
        replica = dict(record.headers).get("replica")
        if replica is not None:
            self._reports[replica.decode(errors="replace")] = record.value
        self._read = record.offset + 1

    def close(self) -> None:
        """Close every connection."""
        for store in (self.spine, self.control, self._progress):
            store.close()


def try_kafka(
    bootstrap: str, stream: str, client: Mapping[str, object] | None, *, retention_ms: int, replication: int
) -> list[str]:
    """The topics that opening the log would make; nothing is made by looking.  Raises as opening it does."""
    topics = _topics_of(stream, retention_ms)
    with translated(f"broker {bootstrap}"), closing(make_admin(_settings(bootstrap, client))) as admin:
        return try_topics(admin, topics, replication)


def _topics_of(stream: str, retention_ms: int) -> dict[str, Topic]:
    if not _NAME.fullmatch(stream):
        raise BadInput(f"no topic can be named after stream {stream!r}", remedy="Use letters, digits, . _ and -")
    return topics_of(stream, retention_ms)


def _settings(bootstrap: str, client: Mapping[str, object] | None) -> dict[str, object]:
    addresses = bootstrap.split(",")
    settings = {**(client or {}), "bootstrap_servers": addresses}
    check_certificate(settings, addresses)
    return settings
