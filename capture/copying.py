"""How far the copy is, table by table, and how long the rest of it takes."""

from __future__ import annotations

from collections.abc import Mapping

from capture.progress import Progress, TableProgress
from capture.speeds import Speed
from shared.metrics import NOT_KNOWN, CaptureMetrics


class Copying:
    """Turns the progress of the copy into metrics."""

    def __init__(self, metrics: CaptureMetrics) -> None:
        self._metrics = metrics
        self._speed = Speed()

    def look(self, progress: Progress, estimates: Mapping[str, int], now: float) -> None:
        """Take in how far it is; ``now`` is in seconds of any clock that does not go back."""
        metrics, tables = self._metrics, progress.tables
        totals = {**estimates, **{name: _total(table) for name, table in tables.items()}}
        for name, total in totals.items():
            table = tables.get(name, TableProgress())
            metrics.snapshot_total_rows.labels(name).set(total)
            metrics.snapshot_copied_rows.labels(name).set(table.rows)
            metrics.snapshot_done.labels(name).set(table.done)
        copied = sum(table.rows for table in tables.values())
        rest = sum(total - tables[name].rows if name in tables else total for name, total in totals.items())
        speed = self._speed.note(now, copied)
        metrics.snapshot_left.set(0.0 if progress.copied else rest / speed if speed else NOT_KNOWN)


def _total(table: TableProgress) -> int:
    """Older versions left a table that is done with the total that had been guessed."""
    return table.rows if table.done else table.total
