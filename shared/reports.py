"""What the sink tells the others through the log: how far its ledger has come.  A hint; the ledger is the truth.

It is sent after the commit, so what it says was applied was applied; capture prunes by it.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

from shared.log.contract import LogBackend
from shared.versions import check_version


class Report(Struct, frozen=True):
    """A replica's position; ``trouble`` is why it stopped, "" while it works."""

    incarnation: str = ""
    lease: int = 0
    number: int = 0
    offset: int = -1
    seq: int = 0
    copied: bool = False
    trouble: str = ""
    version: int = 1


def send_report(log: LogBackend, replica: str, report: Report) -> None:
    """Keep it as that replica's latest."""
    log.report(replica, msgspec.json.encode(report))


def read_report(log: LogBackend, replica: str) -> Report:
    """The replica's latest, an empty one where there is none; Stop where a newer version wrote it."""
    body = log.reports().get(replica)
    report = msgspec.json.decode(body, type=Report) if body else Report()
    check_version(f"the report of {replica} is", report.version, Report().version)
    return report


VERIFICATION = "verification"
_NEEDED_MS = 7 * 24 * 3600 * 1000


class Needed(Struct, frozen=True):
    """From where on verification needs the log: it reads there which keys changed since its last pass."""

    offset: int = -1
    at_ms: int = 0


def send_needed(log: LogBackend, needed: Needed) -> None:
    """Keep it; a log with retention of its own does not ask."""
    log.report(VERIFICATION, msgspec.json.encode(needed))


def read_needed(log: LogBackend, now_ms: int) -> Needed | None:
    """The latest one, None where there is none from the last seven days: the log must not grow for ever."""
    body = log.reports().get(VERIFICATION)
    needed = msgspec.json.decode(body, type=Needed) if body else Needed()
    return needed if now_ms - needed.at_ms < _NEEDED_MS else None
