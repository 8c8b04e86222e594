"""What the daemons measure, as Prometheus sees it.  Each metric is described in docs/metrics.md.

A daemon makes its class once, on a registry of its own, and sets and counts from its loop's wrapper.  A scrape
only reads what the loop left here: it asks neither database, so it can neither wait for one nor lock one.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, PlatformCollector, ProcessCollector

from shared.product import product_version

NOT_KNOWN = float("nan")
_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_LATENCIES = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0)


class CommonMetrics:
    """What both daemons measure."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.lag_changes = Gauge(
            "switchback_lag_changes", "Changes that have not passed this stage yet.", ["stage"], registry=registry
        )
        self.lag_seconds = Gauge(
            "switchback_lag_seconds",
            "Time from a change's commit on the primary to this stage, of the last change; 0 if none is on its way.",
            ["stage"],
            registry=registry,
        )
        self.last_group_time = Gauge(
            "switchback_last_group_timestamp_seconds", "When this daemon last finished a group.", registry=registry
        )
        self.stopped = Gauge(
            "switchback_stopped",
            "1 while the other daemon has stopped for an error that does not pass by itself.",
            ["daemon", "class"],
            registry=registry,
        )
        self.lease = Gauge("switchback_lease", "Lease of the last group.", registry=registry)
        self.group = Gauge("switchback_group", "Number of the last group.", registry=registry)
        self._stopped_by = ""

    def tell_stopped(self, daemon: str, error: str) -> None:
        """Set the class of error for which the other daemon stopped, "" while it works."""
        if self._stopped_by not in ("", error):
            self.stopped.labels(daemon, self._stopped_by).set(0)
        if error:
            self.stopped.labels(daemon, error).set(1)
        self._stopped_by = error


class CaptureMetrics(CommonMetrics):
    """Capture's metrics; its stages are ``captured`` (read from the primary) and ``logged`` (durable in the log).

    It also knows, by the sink's reports, how many changes have not been ``applied``.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(registry)
        self.source_seq = Gauge("switchback_source_seq", "Last change committed on the primary.", registry=registry)
        self.logged_seq = Gauge("switchback_logged_seq", "Last change durable in the log.", registry=registry)
        self.confirmed_seq = Gauge(
            "switchback_confirmed_seq", "Last change that the replica has confirmed.", registry=registry
        )
        self.lag_bytes = Gauge(
            "switchback_lag_bytes",
            "Bytes that have not passed this stage yet, by the mean size of a change.",
            ["stage"],
            registry=registry,
        )
        self.oldest_age = Gauge(
            "switchback_oldest_unapplied_age_seconds",
            "Age of the oldest commit that the replica does not have; 0 if it has all.",
            registry=registry,
        )
        self.written_rate = Gauge(
            "switchback_written_changes_per_second", "Changes committed on the primary.", registry=registry
        )
        self.applied_rate = Gauge(
            "switchback_applied_changes_per_second", "Changes confirmed by the replica.", registry=registry
        )
        self.pause = Gauge(
            "switchback_estimated_pause_seconds", "Write pause of a cutover that began now.", registry=registry
        )
        self.retention_left = Gauge(
            "switchback_retention_left_seconds",
            "Time until the log drops what the replica still needs; +Inf where it never does.",
            registry=registry,
        )
        self.changes = Counter("switchback_captured_changes", "Changes appended to the log.", registry=registry)
        self.bytes = Counter("switchback_captured_bytes", "Bytes of changes appended to the log.", registry=registry)
        self.groups = Counter("switchback_captured_groups", "Groups appended to the log.", ["kind"], registry=registry)
        self.snapshot_rows = Counter(
            "switchback_snapshot_rows", "Rows of the snapshot appended to the log.", ["table"], registry=registry
        )
        self.snapshot_total_rows = Gauge(
            "switchback_snapshot_expected_rows",
            "Rows that the table's snapshot will have.",
            ["table"],
            registry=registry,
        )
        self.snapshot_copied_rows = Gauge(
            "switchback_snapshot_copied_rows",
            "Rows of the table's snapshot that are in the log.",
            ["table"],
            registry=registry,
        )
        self.snapshot_left = Gauge(
            "switchback_snapshot_left_seconds", "Time that the rest of the copy takes; 0 once done.", registry=registry
        )
        self.snapshot_done = Gauge(
            "switchback_snapshot_done", "1 once the table's snapshot is in the log.", ["table"], registry=registry
        )
        self.changelog_rows = Gauge(
            "switchback_changelog_rows", "Changes in the primary's change log.", registry=registry
        )
        self.changelog_bytes = Gauge(
            "switchback_changelog_bytes",
            "Bytes in the primary's change log, by the mean size of a change.",
            registry=registry,
        )
        self.wal_bytes = Gauge("switchback_source_wal_bytes", "Size of the SQLite file's -wal file.", registry=registry)
        self.pruned = Counter("switchback_pruned_changes", "Changes pruned from the primary.", registry=registry)
        self.verified_time = Gauge(
            "switchback_verification_timestamp_seconds", "When the last full verification ended.", registry=registry
        )
        self.verified_rows = Gauge(
            "switchback_verification_rows", "Rows that the last full verification compared.", registry=registry
        )
        self.wrong_rows = Gauge(
            "switchback_verification_wrong_rows", "Rows that are known to differ.", registry=registry
        )


class SinkMetrics(CommonMetrics):
    """Sink's metrics; its stage is ``applied`` (committed in the replica)."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(registry)
        self.applied_seq = Gauge("switchback_applied_seq", "Last change committed in the replica.", registry=registry)
        self.log_offset = Gauge("switchback_ledger_log_offset", "Offset of the last group applied.", registry=registry)
        self.log_end_offset = Gauge(
            "switchback_log_end_offset", "Offset behind the log's last record.", registry=registry
        )
        self.changes = Counter("switchback_applied_changes", "Changes applied.", registry=registry)
        self.groups = Counter("switchback_applied_groups", "Groups applied.", ["kind"], registry=registry)
        self.copied_rows = Counter(
            "switchback_copied_rows", "Rows of the snapshot applied.", ["table"], registry=registry
        )
        self.transactions = Counter(
            "switchback_transactions", "Transactions committed in the replica.", registry=registry
        )
        self.fallbacks = Counter(
            "switchback_fallbacks",
            "Batches that could not go the fast way, by the way that they went.",
            ["to"],
            registry=registry,
        )
        self.widened = Counter("switchback_widened_columns", "Columns that were given a wider type.", registry=registry)
        self.apply_seconds = Histogram(
            "switchback_apply_seconds", "Time to apply and commit a transaction.", registry=registry, buckets=_SECONDS
        )
        self.latency = Histogram(
            "switchback_latency_seconds",
            "Time from a commit on the primary to its commit in the replica.",
            registry=registry,
            buckets=_LATENCIES,
        )
        self.drain_rate = Gauge(
            "switchback_drain_changes_per_second", "Speed of applying, while it applies.", registry=registry
        )
        self.refused = Gauge(
            "switchback_refused_writes", "Statements that met the closed replica's fence.", ["side"], registry=registry
        )


class TopicsMetrics:
    """The table topics' metrics."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.records = Counter(
            "switchback_topics_records", "Records sent to table topics.", ["topic"], registry=registry
        )
        self.groups = Counter("switchback_topics_groups", "Groups published.", ["kind"], registry=registry)
        self.lease = Gauge("switchback_topics_lease", "Lease of the last group published.", registry=registry)
        self.group = Gauge("switchback_topics_group", "Number of the last group published.", registry=registry)
        self.lag_records = Gauge(
            "switchback_topics_lag_records", "Records of the spine that have not been published.", registry=registry
        )
        self.lag_seconds = Gauge(
            "switchback_topics_lag_seconds",
            "Age of the last change published when it was sent; 0 if none is on its way.",
            registry=registry,
        )
        self.last_group_time = Gauge(
            "switchback_topics_last_group_timestamp_seconds", "When the last group was published.", registry=registry
        )


class ProgramMetrics:
    """What ``run_program`` itself measures for any daemon."""

    def __init__(self, registry: CollectorRegistry, program: str, stream: str) -> None:
        info = Gauge("switchback_build_info", "Always 1.", ["version", "program", "stream"], registry=registry)
        info.labels(product_version(), program, stream).set(1)
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        self.errors = Counter("switchback_errors", "Errors by class.", ["class"], registry=registry)
        self.errors.labels("retry")
        self.reconnects = Counter(
            "switchback_reconnects", "Times that work went on after an interruption.", registry=registry
        )
        self.loop_time = Gauge(
            "switchback_loop_timestamp_seconds", "When the daemon's loop last turned.", registry=registry
        )
        self.up = Gauge("switchback_up", "1 while the daemon works, 0 while it waits to try again.", registry=registry)
        self.up.set(1)
