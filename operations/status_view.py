"""A status as a person reads it: what is the matter first, the facts below."""

from __future__ import annotations

import time

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from operations.cutover.summary import UNKNOWN
from operations.phase import DaemonStatus, Status
from operations.screen import grid
from operations.wording import count, duration, offsets, side_name, size

_STYLES = {
    "in step": "bold green",
    "stopped": "bold red",
    "unknown": "bold magenta",
    "behind": "bold yellow",
    "closed": "bold red",
}


def show_status(status: Status) -> RenderableType:
    """The whole page."""
    headline = Text.assemble(
        (f"{status.stream}: ", "bold"),
        (status.phase, _STYLES.get(status.phase, "bold cyan")),
        f" - {status.summary}",
        overflow="fold",
    )
    warnings = [Text(f"warning: {warning}", style="yellow") for warning in status.warnings]
    if status.phase == "completed":
        return headline
    parts: list[RenderableType] = [headline, *warnings, Text(), _facts(status)]
    if status.tables and not status.ledger.copied:
        parts += [Text(), _tables(status)]
    return Group(*parts)


def _facts(status: Status) -> Table:
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="bold")
    facts.add_column(overflow="fold")
    for name, text in (
        ("primary", _primary(status)),
        *([("way back", status.switch.way_back)] if status.switch.way_back else []),
        ("lag", _lag(status)),
        ("source", _source(status)),
        ("log", _log(status)),
        ("replica", _ledger(status)),
        *((daemon.name, _daemon(daemon)) for daemon in status.daemons),
    ):
        facts.add_row(name, Text(text))
    return facts


def _primary(status: Status) -> str:
    switch = status.switch
    if switch.primary == UNKNOWN:
        return f"not known: {switch.waiting}; {switch.remedy}"
    by = " (by the databases; the log cannot be read)" if switch.by_databases else ""
    since = f" since {switch.since}" if switch.since else ""
    told = "" if switch.told else "; the application was not told: `switchback resume`"
    refused = f"; {count(switch.refused)} writes refused, the last on {switch.refused_last}" if switch.refused else ""
    last = f"; {switch.last}" if switch.last and not switch.since else ""
    return f"{side_name(switch.primary)}{since}, epoch {switch.epoch}{by}{told}{last}{refused}"


def _lag(status: Status) -> str:
    if status.lag_changes is None:
        return "not known"
    return f"{count(status.lag_changes)} changes, {duration(status.lag_seconds or 0.0)}"


def _source(status: Status) -> str:
    source = status.source
    if source.error:
        return source.error
    sizes = f"{source.path}, {size(source.file_bytes)}, wal {size(source.wal_bytes)}"
    if not source.installed:
        return f"{sizes}; capture is not installed"
    return f"{sizes}; change {count(source.seq)}, {count(source.changelog_rows)} in the change log"


def _log(status: Status) -> str:
    log = status.log
    return f"{log.url}: {log.error}" if log.error else f"{log.url}, {offsets(log.first, log.end)}"


def _ledger(status: Status) -> str:
    ledger = status.ledger
    if ledger.error:
        return ledger.error
    if not ledger.exists:
        return "no ledger yet"
    if status.switch.primary == "postgres":
        return f"SQLite, change {count(ledger.seq)}"
    group = f"group {count(ledger.number)} of lease {ledger.lease} at offset {ledger.log_offset}"
    return f"{group}, change {count(ledger.seq)}, {duration(ledger.age_seconds)} ago"


def _daemon(daemon: DaemonStatus) -> str:
    if daemon.state == "never":
        return "has not run on this machine"
    since = duration(max(0.0, time.time() - daemon.since))
    if daemon.state in {"running", "waiting"}:
        reason = f": {daemon.reason}" if daemon.reason else ""
        metrics = f", {daemon.metrics}" if daemon.metrics else ""
        return f"{daemon.state} for {since}, pid {daemon.pid}{metrics}{reason}"
    if daemon.state == "killed":
        return f"not running; started {since} ago and was killed"
    code = f" with exit code {daemon.exit_code}: {daemon.reason}" if daemon.exit_code else " as asked"
    return f"not running; ended {since} ago{code}"


def _tables(status: Status) -> Table:
    table = grid("table", "rows", "of about", "")
    table.columns[1].justify = table.columns[2].justify = "right"
    for entry in status.tables:
        state = "done" if entry.done else ("copying" if entry.rows else "waiting")
        table.add_row(Text(entry.name), count(entry.rows), "?" if entry.total is None else count(entry.total), state)
    return table
