"""Capture's metrics, fed by what the relay and the session say; nothing here touches a database."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from capture.copying import Copying
from capture.progress import Progress
from capture.relay import Published
from capture.speeds import Speed
from shared.control.fold import State
from shared.control.pause import estimate_pause
from shared.metrics import CaptureMetrics
from shared.pulse import Pulse
from shared.reports import Report, Verdict


@dataclass(frozen=True, slots=True)
class House:
    """What a round of house-keeping found; ``high`` is the last change there is, ``oldest_ms`` the first unapplied."""

    progress: Progress
    totals: Mapping[str, int]
    report: Report
    depth: int
    high: int
    oldest_ms: int | None
    verdict: Verdict
    state: State


class Measures:
    """Turns events into metrics; ``retention`` is in seconds, None for a log that keeps what is not applied."""

    def __init__(self, metrics: CaptureMetrics, pulse: Pulse, source: Path, retention: float | None) -> None:
        self._metrics = metrics
        self._pulse = pulse
        self._wal = source.with_name(source.name + "-wal")
        self._retention = retention
        self._time_ms = 0  # commit time of the last change published
        self._changes = self._bytes = 0  # published by this process
        self._written, self._applied = Speed(), Speed()
        self._copying = Copying(metrics)

    def published(self, published: Published) -> None:
        """A group was appended to the log."""
        metrics = self._metrics
        metrics.groups.labels(published.kind).inc()
        metrics.last_group_time.set(time.time())
        if published.changes:
            metrics.changes.inc(published.changes)
            metrics.bytes.inc(published.bytes)
            self._changes += published.changes
            self._bytes += published.bytes
            self._time_ms = published.time_ms
            self._set_age("captured")
        if published.table:
            metrics.snapshot_rows.labels(published.table).inc(published.rows)

    def logged(self) -> None:
        """All changes published so far are durable in the log."""
        self._set_age("logged")

    def _set_age(self, stage: str) -> None:
        self._metrics.lag_seconds.labels(stage).set(max(0.0, time.time() - self._time_ms / 1000))

    def kept_house(self, house: House) -> None:
        """A round of house-keeping: how far everything is."""
        metrics, progress, report = self._metrics, house.progress, house.report
        metrics.source_seq.set(house.high)
        metrics.logged_seq.set(progress.seq)
        metrics.confirmed_seq.set(report.seq)
        metrics.lease.set(progress.lease)
        metrics.group.set(progress.number)
        metrics.wal_bytes.set(self._wal.stat().st_size if self._wal.exists() else 0)
        self._set_depths(house)
        if house.high == progress.seq:
            metrics.lag_seconds.labels("captured").set(0)
            metrics.lag_seconds.labels("logged").set(0)
        self._set_times(house, time.time())
        self._copying.look(progress, house.totals, time.monotonic())
        metrics.verified_time.set(house.verdict.ended_at)
        metrics.verified_rows.set(house.verdict.rows)
        metrics.wrong_rows.set(house.verdict.wrong_rows)
        metrics.tell_stopped("sink", report.error)

    def _set_depths(self, house: House) -> None:
        metrics, published = self._metrics, house.high - house.progress.seq
        size = self._bytes / self._changes if self._changes else 0.0
        waiting = {"captured": published, "logged": published, "applied": max(0, house.high - house.report.seq)}
        for stage, changes in waiting.items():
            metrics.lag_changes.labels(stage).set(changes)
            metrics.lag_bytes.labels(stage).set(changes * size)
        metrics.changelog_rows.set(house.depth)
        metrics.changelog_bytes.set(house.depth * size)

    def _set_times(self, house: House, now: float) -> None:
        metrics, waiting = self._metrics, max(0, house.high - house.report.seq)
        age = max(0.0, now - house.oldest_ms / 1000) if house.oldest_ms else 0.0  # also of what is not decided yet
        metrics.oldest_age.set(age)
        metrics.retention_left.set(math.inf if self._retention is None else self._retention - age)
        metrics.written_rate.set(self._written.note(now, house.high))
        metrics.applied_rate.set(self._applied.note(now, house.report.seq))
        metrics.pause.set(estimate_pause(house.state, waiting, house.report.speed))
        self._pulse.stands(copied=house.progress.copied, behind=min(age, self._unpublished_age(house, now)))

    def _unpublished_age(self, house: House, now: float) -> float:
        """How late capture itself is at the most: nothing was published since the last group."""
        if house.high == house.progress.seq or not self._time_ms:
            return 0.0
        return max(0.0, now - self._time_ms / 1000)

    def pruned(self, changes: int) -> None:
        """Changes went from the change log."""
        self._metrics.pruned.inc(changes)
