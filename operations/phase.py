"""What a stream's facts amount to: the phase that it is in, and one sentence for whoever was woken up.  Pure."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct, field

from operations.cutover.summary import UNKNOWN, SwitchStatus
from operations.wording import count, duration, side_name, size

Phase = Literal[
    "unknown",
    "not installed",
    "starting",
    "copying",
    "finishing",
    "in step",
    "behind",
    "stopped",
    "switching",
    "closed",
    "completed",
]
DaemonState = Literal["never", "running", "waiting", "stopped", "killed"]

_IN_STEP_SECONDS = 2.0


class SourceStatus(Struct):
    """The SQLite side; sizes in bytes, ``seq`` is the last change committed."""

    path: str = ""
    file_bytes: int = 0
    wal_bytes: int = 0
    installed: bool = False
    incarnation: str = ""
    seq: int = 0
    changelog_rows: int = 0
    error: str = ""


class LogStatus(Struct):
    """The log's bounds: the first offset kept and the next one."""

    url: str = ""
    first: int = 0
    end: int = 0
    error: str = ""


class LedgerStatus(Struct):
    """The PostgreSQL side: the last group applied, and how long ago that was."""

    exists: bool = False
    incarnation: str = ""
    lease: int = 0
    number: int = 0
    log_offset: int = -1
    epoch: int = 0
    seq: int = 0
    copied: bool = False
    age_seconds: float = 0.0
    error: str = ""


class TableStatus(Struct):
    """A table's snapshot; ``total`` is an estimate until it is done, None where nothing is known."""

    name: str
    rows: int
    total: int | None
    done: bool


class DaemonStatus(Struct):
    """A daemon on this machine; ``since`` is Unix time, ``reason`` why it waits or has ended."""

    name: str
    state: DaemonState = "never"
    pid: int = 0
    since: float = 0.0
    metrics: str = ""
    reason: str = ""
    exit_code: int | None = None


class Status(Struct):
    """Everything ``switchback status --json`` says."""

    stream: str
    source: SourceStatus
    log: LogStatus
    ledger: LedgerStatus
    tables: list[TableStatus]
    daemons: list[DaemonStatus]
    lag_changes: int | None = None
    lag_seconds: float | None = None
    switch: SwitchStatus = field(default_factory=SwitchStatus)
    warnings: list[str] = []
    trouble: str = ""  # why the replica stands still, in the sink's own words
    phase: Phase = "unknown"
    summary: str = ""

    @property
    def synced(self) -> bool:
        """The snapshot is whole and every change that was committed before the look is applied."""
        return self.ledger.copied and self.lag_changes == 0

    @property
    def rows(self) -> int:
        """Rows of the snapshot in PostgreSQL."""
        return sum(table.rows for table in self.tables)

    @property
    def total(self) -> int | None:
        """About how many rows the snapshot will have; None where that is not known."""
        totals = [table.total for table in self.tables]
        return None if None in totals else sum(total for total in totals if total)


def summarise(status: Status) -> tuple[Phase, str]:
    """The phase, and what to know about it in one sentence."""
    switch = status.switch
    if switch.completed:
        return "completed", _completed(status)
    if switch.attempt or switch.closed:
        summary = "; ".join(part for part in (switch.waiting, switch.remedy) if part)
        return ("closed" if switch.closed else "switching"), summary
    phase, summary = _unknown(switch) if switch.primary == UNKNOWN else _progress(status)
    ended = [daemon for daemon in status.daemons if daemon.state in {"stopped", "killed"}]
    failed = [daemon for daemon in ended if daemon.state == "killed" or daemon.exit_code]
    if failed:
        reasons = "; ".join(f"{daemon.name} ended: {daemon.reason}" for daemon in failed)
        return "stopped", f"{reasons} ({summary})"
    if ended and phase != "not installed":
        names = " and ".join(daemon.name for daemon in ended)
        return "stopped", f"{names} ended as asked; switchback run goes on ({summary})"
    waits = [daemon for daemon in status.daemons if daemon.state == "waiting" and daemon.reason not in summary]
    waiting = [f"{daemon.name} waits: {daemon.reason}" for daemon in waits]
    if status.trouble and not any(daemon.name == "sink" and daemon.state != "never" for daemon in status.daemons):
        return "stopped", f"sink ended: {status.trouble} ({summary})"
    return phase, "; ".join([summary, *waiting])


def _unknown(switch: SwitchStatus) -> tuple[Phase, str]:
    return "unknown", f"who is the primary is not known: {switch.waiting}; {switch.remedy}"


def _completed(status: Status) -> str:
    since = f" since {status.switch.completed_since}" if status.switch.completed_since else ""
    over = f"the migration is over{since}; {side_name(status.switch.primary)} is the primary, and no way leads back"
    if status.ledger.exists or status.source.installed:
        return f"{over}; not all is removed yet: where `switchback complete` is not at work, run it again"
    return over


def warn(source: SourceStatus, changelog_rows: int, wal_mb: int) -> list[str]:
    """What fills the source's disk, above the limits given."""
    found = []
    if source.changelog_rows > changelog_rows:
        what = f"the change log in the source holds {count(source.changelog_rows)} changes"
        found.append(f"{what}: they stay until the replica has confirmed them; mind the disk")
    if source.wal_bytes > wal_mb * 1_000_000:
        what = f"the source's -wal file has {size(source.wal_bytes)}"
        found.append(f"{what}: a long read transaction keeps SQLite from checkpointing; find it")
    return found


def _progress(status: Status) -> tuple[Phase, str]:
    source, ledger = status.source, status.ledger
    if ledger.error:
        return "unknown", f"the ledger cannot be read: {ledger.error}"
    if source.installed and ledger.incarnation not in {"", source.incarnation}:
        return "stopped", "the replica was copied from another source, or from before an uninstall"
    if not ledger.exists or not ledger.number:
        if source.error:
            return "unknown", f"nothing is in the replica, and the source cannot be read: {source.error}"
        return ("starting", "nothing is copied yet") if source.installed else ("not installed", "nothing has begun")
    if not ledger.copied:
        return _copying(status)
    if status.lag_changes is None:
        return (
            "unknown",
            f"the snapshot is whole; the lag is not known, since the source cannot be read: {source.error}",
        )
    if not status.lag_changes:
        return "in step", "every change is applied"
    lag = f"{count(status.lag_changes)} changes, {duration(status.lag_seconds or 0.0)} behind"
    return ("in step" if (status.lag_seconds or 0.0) <= _IN_STEP_SECONDS else "behind"), lag


def _copying(status: Status) -> tuple[Phase, str]:
    if status.tables and all(table.done for table in status.tables):
        return "finishing", "all rows are copied; foreign keys are being made"
    of = "" if status.total is None else f" of about {count(status.total)}"
    return "copying", f"{count(status.rows)}{of} rows copied"
