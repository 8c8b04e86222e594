"""The sink's metrics, fed by what the applier and the session say."""

from __future__ import annotations

import time
from collections.abc import Mapping

from shared.findings import Finding
from shared.metrics import SinkMetrics
from shared.pulse import Pulse
from shared.reports import Report
from sink.applier import Applied

_WEIGHT = 0.2  # of the last commit in the speed that is told
_FEW = 100  # changes: a commit of fewer says little about speed


class Measures:
    """Turns commits into metrics."""

    def __init__(self, metrics: SinkMetrics, pulse: Pulse) -> None:
        self._metrics = metrics
        self._pulse = pulse
        self._fallbacks: dict[str, int] = {}
        self._speed = self._late = 0.0

    @property
    def speed(self) -> int:
        """Changes a second while it applies, 0 where that is not known yet."""
        return round(self._speed)

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
            self._applied_changes(applied)
        if applied.rows:
            metrics.copied_rows.labels(header.meta["table"]).inc(applied.rows)

    def _applied_changes(self, applied: Applied) -> None:
        late = max(0.0, time.time() - applied.time_ms / 1000)
        self._metrics.changes.inc(applied.changes)
        self._set_late(late)
        self._metrics.latency.observe(late)
        if applied.changes >= _FEW and applied.seconds > 0:
            speed = applied.changes / applied.seconds
            self._speed = speed if not self._speed else self._speed + _WEIGHT * (speed - self._speed)
            self._metrics.drain_rate.set(self._speed)

    def _set_late(self, seconds: float) -> None:
        self._late = seconds
        self._metrics.lag_seconds.labels("applied").set(seconds)

    def found(self, finding: Finding) -> None:
        """The replica reports something that it did to the target."""
        if finding.code == "column-widened":
            self._metrics.widened.inc()

    def looked(self, report: Report, end: int, fallbacks: Mapping[str, int]) -> None:
        """The session compared its place with the log's end."""
        metrics = self._metrics
        metrics.log_end_offset.set(end)
        if report.offset + 1 >= end:
            self._set_late(0.0)
        self._pulse.stands(copied=report.copied, behind=self._late)
        for way, count in fallbacks.items():
            before = self._fallbacks.get(way, 0)
            metrics.fallbacks.labels(way).inc(
                count - before if count >= before else count
            )  # a new connection counts anew
            self._fallbacks[way] = count

    def glanced(self, side: str, refused: int | None, stopped: str) -> None:
        """What changes seldom: how often the fence of that side was met, and why capture stopped."""
        if refused is not None:
            self._metrics.refused.labels(side).set(refused)
        self._metrics.tell_stopped("capture", stopped)
