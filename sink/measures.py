"""The sink's metrics, fed by what the applier and the session say."""

from __future__ import annotations

import time
from collections.abc import Mapping

from shared.findings import Finding
from shared.metrics import SinkMetrics
from sink.applier import Applied


class Measures:
    """Turns commits into metrics."""

    def __init__(self, metrics: SinkMetrics) -> None:
        self._metrics = metrics
        self._fallbacks: dict[str, int] = {}

    def applied(self, applied: Applied) -> None:
        """One transaction was committed."""
        metrics, header = self._metrics, applied.header
        metrics.transactions.inc()
        metrics.groups.labels(header.kind).inc()
        metrics.apply_seconds.observe(applied.seconds)
        metrics.last_group_time.set(time.time())
        metrics.lease.set(applied.position.lease)
        metrics.group.set(applied.position.number)
        metrics.log_offset.set(applied.position.offset)
        metrics.applied_seq.set(header.last_seq)
        if applied.changes:
            metrics.changes.inc(applied.changes)
            metrics.lag_seconds.labels("applied").set(max(0.0, time.time() - applied.time_ms / 1000))
        if applied.rows:
            metrics.copied_rows.labels(header.meta["table"]).inc(applied.rows)

    def found(self, finding: Finding) -> None:
        """The replica reports something that it did to the target."""
        if finding.code == "column-widened":
            self._metrics.widened.inc()

    def looked(self, offset: int, end: int, fallbacks: Mapping[str, int]) -> None:
        """The session compared its place with the log's end."""
        metrics = self._metrics
        metrics.log_end_offset.set(end)
        if offset + 1 >= end:
            metrics.lag_seconds.labels("applied").set(0)
        for way, count in fallbacks.items():
            before = self._fallbacks.get(way, 0)
            metrics.fallbacks.labels(way).inc(
                count - before if count >= before else count
            )  # a new connection counts anew
            self._fallbacks[way] = count
