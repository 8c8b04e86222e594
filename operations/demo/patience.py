"""A replica that does not come in step on a busy machine: the lag is told, and the application writes less.

The share of the rate that the writers keep to stands in a file beside their ledger; they look there from time to time.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from operations.wording import count, duration

if TYPE_CHECKING:  # the writers, which only read the share, do without
    from operations.phase import Status

SAY_SECONDS = 10.0
"""How long the demo waits without a word."""

_FEW = 200
"""Changes: a lag that moves about below this is not one that grows."""
_LEAST = 1 / 8
_FILE = "share"


def read_share(ledger: Path) -> float:
    """Which part of the rate the writers keep to: all of it, where nobody has said anything."""
    try:
        return float((ledger / _FILE).read_text())
    except (OSError, ValueError):
        return 1.0


class Patience:
    """Looks at a replica that is waited for; ``rate`` is the application's, in transactions a second."""

    def __init__(self, ledger: Path, rate: float) -> None:
        self._ledger = ledger
        self._rate = rate
        self._due = SAY_SECONDS
        self._lag: int | None = None

    def look(self, seconds: float, status: Status) -> str:
        """What to say after so many seconds, "" for nothing; where the lag grows the writers' rate is halved."""
        if seconds < self._due:
            return ""
        self._due = seconds + SAY_SECONDS
        if status.lag_changes is None:
            return f"   {duration(seconds)}: {status.summary}"
        lag, before = status.lag_changes, self._lag
        self._lag = lag
        said = f"   {duration(seconds)}: {count(lag)} changes, {duration(status.lag_seconds or 0.0)} behind"
        if before is None or lag <= max(before, _FEW):
            return said
        self._lag = None  # what was eased takes a while to show: the next look only takes the measure
        return said + self._ease()

    def _ease(self) -> str:
        share = read_share(self._ledger) / 2
        if share < _LEAST:
            return "; it grows"
        draft = self._ledger / f"{_FILE}.tmp"
        draft.write_text(f"{share}")
        draft.replace(self._ledger / _FILE)
        return f"; it grows, so the application writes {self._rate * share:.0f} transactions a second from now on"
