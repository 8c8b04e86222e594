"""Until when one can go back without loss, in words and as a time.  Pure.

What the old primary lacks waits in the log.  The embedded log keeps it; Kafka's topics drop it when they have kept
it for as long as they were told, and from then on the old primary cannot be brought up to date any more.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

_DAY_SECONDS = 86_400.0
_NO_TIME_SECONDS = 1.0


class WayBack(NamedTuple):
    """A sentence; ``until`` is Unix time, None where no end is in sight."""

    words: str
    until: float | None = None


def way_back(lag_seconds: float | None, retention_days: int | None, now: float) -> WayBack:
    """For a stream whose primary is PostgreSQL; ``retention_days`` is None for a log that keeps what is not applied.

    ``lag_seconds`` is the age of the oldest change that the file lacks, None where that is not known.
    """
    if lag_seconds is None:
        return WayBack("not known, since the lag is not known")
    if retention_days is None:
        return WayBack("`switchback rollback`, at any time: the log keeps what SQLite lacks")
    if lag_seconds <= _NO_TIME_SECONDS:
        return WayBack(f"`switchback rollback`, at any time, unless a daemon stays down for {retention_days} days")
    until = now - lag_seconds + retention_days * _DAY_SECONDS
    if until <= now:
        return WayBack("lost: the log's topics have dropped changes that SQLite lacks", until)
    when = datetime.fromtimestamp(until, UTC).strftime("%Y-%m-%d %H:%M UTC")
    return WayBack(f"until {when}: then the log's topics drop what SQLite lacks by now", until)
