"""Asking for a stream's log without making one; and what is said instead once its migration is completed.

``switchback complete`` deletes the embedded log and with it the record of who is primary: what is left is the note
in the state folder.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from shared.errors import BadInput, NoLog
from shared.log.contract import LogBackend
from shared.log.opening import open_log_of
from shared.presence import completed_at
from shared.settings import Settings


def open_existing_log(settings: Settings) -> LogBackend:
    """The log that is there; NoLog where there is none, BadInput where there is none any more."""
    try:
        return open_log_of(settings, make=False)
    except NoLog:
        refuse_completed(settings)
        _refuse_missing_source(settings)
        raise


def _refuse_missing_source(settings: Settings) -> None:
    """A mistyped file leads to a log that is not there."""
    path = settings.source
    if settings.log.startswith("embedded:") and path != Path() and not path.exists():
        raise BadInput("there is no such file", where=str(path), remedy="See --source")


def refuse_completed(settings: Settings) -> None:
    """BadInput where the note says that the migration is over."""
    if since := completed_since(settings):
        what = f"the migration is completed since {since}; PostgreSQL is the primary"
        raise BadInput(what, where=f"stream {settings.stream}", remedy="Nothing is left to do, and no way leads back")


def completed_since(settings: Settings) -> str:
    """When the migration was completed, "" where it was not, as far as this machine knows."""
    at = completed_at(settings.state_dir, settings.stream)
    return "" if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
