"""``switchback verify``: runs a verification and says what came of it.

Exit codes: 0 equal, 1 something differs or could not be settled; what could not be compared at all
raises an error with an exit code of its own.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack

import msgspec
from rich.console import Console

from operations.completion import refuse_completed
from operations.verification.display import Bars, Silence, show_report
from operations.verification.findings import Finding
from operations.verification.session import PATIENCE_SECONDS, Session, open_session
from operations.verification.verify import Progress, Report, verify_all, verify_changed, verify_tables
from shared.errors import BadInput, Stop, SwitchbackError
from shared.settings import Settings

_NO_REPAIR = "--repair sends rows from SQLite to PostgreSQL, but PostgreSQL is the primary now"
_REPAIR_BY_HAND = (
    "Verify without it, then touch the rows in PostgreSQL: UPDATE one column to itself, and the log brings the row;"
    " for a row that only SQLite has, INSERT its key and DELETE it"
)


def verify_command(  # noqa: PLR0913  (what the operator may ask for)
    settings: Settings,
    tables: Sequence[str],
    changed: bool,  # noqa: FBT001
    json: bool,  # noqa: FBT001
    repair: bool,  # noqa: FBT001
    console: Console,
    *,
    patience: float = PATIENCE_SECONDS,
) -> int:
    """Verify everything, or ``tables`` (``*`` and ``?`` match), or what ``changed`` since; returns the exit code."""
    with ExitStack() as stack:
        progress: Progress = Silence()
        if not json and console.is_terminal:
            progress = stack.enter_context(Bars(console))
        report = _verify(settings, tables, progress, changed=changed, repair=repair, patience=patience)
    if json:
        sys.stdout.write(msgspec.json.encode(_plain(report)).decode() + "\n")
        sys.stdout.flush()
    else:
        show_report(console, report, repair=repair)
    return 0 if report.equal else 1


def _verify(  # noqa: PLR0913  (as above)
    settings: Settings, tables: Sequence[str], progress: Progress, *, changed: bool, repair: bool, patience: float
) -> Report:
    refuse_completed(settings)
    try:
        with open_session(settings, tables, patience) as session:
            _check_repair(session, repair=repair)
            if changed:
                return verify_changed(session, progress, repair=repair)
            if session.whole:
                return verify_all(session, progress, repair=repair)
            return verify_tables(session, progress, repair=repair)
    except (BadInput, Stop):
        raise
    except SwitchbackError as error:  # its exit code 1 would say that something differs
        raise Stop(f"nothing is known: {error.what}", where=error.where, remedy=error.remedy) from error


def _check_repair(session: Session, *, repair: bool) -> None:
    if repair and session.primary == "postgres":
        raise BadInput(_NO_REPAIR, remedy=_REPAIR_BY_HAND)


def _plain(report: Report) -> dict[str, object]:
    """The report as JSON takes it: a finding's key is shown, not the values themselves."""
    names = [name for name in Finding.__struct_fields__ if name != "keys"]
    findings = [{name: getattr(finding, name) for name in names} for finding in report.findings]
    found: dict[str, object] = msgspec.to_builtins(msgspec.structs.replace(report, findings=[]))
    rows = sum(table.rows for table in report.tables)
    return {**found, "equal": report.equal, "rows": rows, "findings": findings}
