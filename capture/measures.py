"""Capture's metrics, fed by what the relay and the session say; nothing here touches a database."""

from __future__ import annotations

import time
from pathlib import Path

from capture.progress import Progress
from capture.relay import Published
from shared.metrics import CaptureMetrics
from shared.reports import Report


class Measures:
    """Turns events into metrics."""

    def __init__(self, metrics: CaptureMetrics, source: Path) -> None:
        self._metrics = metrics
        self._wal = source.with_name(source.name + "-wal")
        self._time_ms = 0  # commit time of the last change published

    def published(self, published: Published) -> None:
        """A group was appended to the log."""
        metrics = self._metrics
        metrics.groups.labels(published.kind).inc()
        metrics.last_group_time.set(time.time())
        if published.changes:
            metrics.changes.inc(published.changes)
            self._time_ms = published.time_ms
            self._set_age("captured")
        if published.table:
            metrics.snapshot_rows.labels(published.table).inc(published.rows)

    def logged(self) -> None:
        """All changes published so far are durable in the log."""
        self._set_age("logged")

    def _set_age(self, stage: str) -> None:
        self._metrics.lag_seconds.labels(stage).set(max(0.0, time.time() - self._time_ms / 1000))

    def kept_house(self, progress: Progress, report: Report, depth: int, high: int) -> None:
        """A round of house-keeping: how far everything is."""
        metrics = self._metrics
        metrics.source_seq.set(high)
        metrics.logged_seq.set(progress.seq)
        metrics.confirmed_seq.set(report.seq)
        metrics.lease.set(progress.lease)
        metrics.group.set(progress.number)
        metrics.changelog_rows.set(depth)
        metrics.lag_changes.labels("captured").set(high - progress.seq)
        metrics.lag_changes.labels("logged").set(high - progress.seq)
        metrics.lag_changes.labels("applied").set(max(0, high - report.seq))
        if high == progress.seq:
            metrics.lag_seconds.labels("captured").set(0)
            metrics.lag_seconds.labels("logged").set(0)
        metrics.wal_bytes.set(self._wal.stat().st_size if self._wal.exists() else 0)
        for name, table in progress.tables.items():
            metrics.snapshot_total_rows.labels(name).set(table.total)
            metrics.snapshot_done.labels(name).set(table.done)

    def pruned(self, changes: int) -> None:
        """Changes went from the change log."""
        self._metrics.pruned.inc(changes)
