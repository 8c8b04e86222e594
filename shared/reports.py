"""What the programs tell each other through the log: hints, never the truth, which stands in the databases.

The sink's report is sent after the commit, so what it says was applied was applied; capture prunes by it.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

from shared.log.contract import LogBackend
from shared.versions import check_version


class Report(Struct, frozen=True):
    """A replica's position; ``trouble`` is why it stopped and ``error`` the class of that, "" while it works.

    ``speed`` is in changes a second while it applies, 0 where it is not known.
    """

    incarnation: str = ""
    lease: int = 0
    number: int = 0
    offset: int = -1
    seq: int = 0
    copied: bool = False
    trouble: str = ""
    error: str = ""
    speed: int = 0
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


CAPTURE = "capture"


class Stopped(Struct, frozen=True):
    """Why capture stopped: the class of the error, "" while it works."""

    error: str = ""


def send_stopped(log: LogBackend, error: str) -> None:
    """Tell the sink, which can be asked when capture no longer runs."""
    log.report(CAPTURE, msgspec.json.encode(Stopped(error)))


def read_stopped(log: LogBackend) -> str:
    """What capture said last."""
    body = log.reports().get(CAPTURE)
    return msgspec.json.decode(body, type=Stopped).error if body else ""


VERDICT = "verdict"


class Verdict(Struct, frozen=True):
    """The outcome of the last full verification of that incarnation; times are seconds since 1970, 0 for never."""

    incarnation: str = ""
    ended_at: float = 0.0
    rows: int = 0
    wrong_rows: int = 0


def send_verdict(log: LogBackend, verdict: Verdict) -> None:
    """Keep it as the latest, for the daemons' metrics; the record that a cutover asks stands in PostgreSQL."""
    log.report(VERDICT, msgspec.json.encode(verdict))


def read_verdict(log: LogBackend, incarnation: str) -> Verdict:
    """The latest one of that incarnation, an empty one where there is none."""
    body = log.reports().get(VERDICT)
    verdict = msgspec.json.decode(body, type=Verdict) if body else Verdict()
    return verdict if verdict.incarnation == incarnation else Verdict()


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
