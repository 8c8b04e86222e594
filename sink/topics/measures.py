"""The table topics' metrics, fed by what the session says."""

from __future__ import annotations

import time
from collections.abc import Mapping

from shared.groups import Header, Position
from shared.metrics import TopicsMetrics


class Measures:
    """Turns groups into metrics."""

    def __init__(self, metrics: TopicsMetrics) -> None:
        self._metrics = metrics

    def sent(self, header: Header, records: Mapping[str, int], time_ms: int) -> None:
        """A group was handed over, with so many records a topic; ``time_ms`` is its last change's, 0 for none."""
        metrics = self._metrics
        for topic, count in records.items():
            metrics.records.labels(topic).inc(count)
        metrics.groups.labels(header.kind).inc()
        metrics.lease.set(header.lease)
        metrics.group.set(header.number)
        metrics.last_group_time.set(time.time())
        if time_ms:
            metrics.lag_seconds.set(max(0.0, time.time() - time_ms / 1000))

    def looked(self, position: Position, end: int) -> None:
        """The session compared its place with the log's end."""
        behind = max(0, end - 1 - position.offset)
        self._metrics.lag_records.set(behind)
        if not behind:
            self._metrics.lag_seconds.set(0)
