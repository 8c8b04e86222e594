"""From an open source and an open log to the first error: claim, copy, follow, and keep house.

The house-keeping (checkpoint, prune) runs between groups, in small transactions: it takes the write lock of
the application's database for a moment, never while something is being read or sent.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Protocol

from capture import relay
from capture.closing import Closing
from capture.measures import House, Measures
from capture.primary import Primary
from capture.progress import Progress
from capture.relay import Relay
from shared.control.fold import check_not_completed
from shared.errors import LeaseLost
from shared.log.contract import LogBackend
from shared.reports import Report, read_needed, read_report, read_stopped, read_verdict, send_stopped
from shared.steps import reached

_CHUNKS_A_FLUSH = 4
_PRUNE_SECONDS = 0.2
_DISCARD_SECONDS = 60.0
_ALIVE_SECONDS = 8 * 3600.0  # well within any retention: else a quiet stream's last group would expire
_CLAIMED_SECONDS = 60.0  # after a claim, which is no group: on a quiet source it would outlive the last one
_LOOK_SECONDS = 0.02  # between two looks at the control stream


class Source(relay.Source, Protocol):
    """The primary, as far as it is opened and house is kept in it."""

    progress: Progress  # as the checkpoint has it
    origin: str  # the SQLite file's incarnation, whichever side is primary: a verification is of that migration

    def prune(self, upto: int, limit: int) -> int:
        """Forget changes up to that seq, at most ``limit``; returns how many went."""

    def depth(self) -> tuple[int, int]:
        """How many changes the change log holds, and the highest seq."""

    def oldest_ms(self, after: int) -> int | None:
        """When the first change behind that seq was committed, Unix ms; None where there is none."""


class Bell(Protocol):
    """Waits for commits."""

    def wait(self, floor: float) -> None:
        """Return when something was committed, or after about ``floor`` seconds."""


class Side(Protocol):
    """One of the two databases, as capture works with it while it is primary."""

    @property
    def hold(self) -> Primary:
        """How it is closed; works before it is opened as a source."""

    def open(self, stack: ExitStack) -> tuple[Source, Bell]:
        """Open it as a source; ``stack`` closes it."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How often: seconds between two looks at the source, and between two rounds of house-keeping."""

    poll: float
    housekeeping: float
    prune_rows: int


class Session:
    """One claim's work."""

    def __init__(  # noqa: PLR0913  (what the composition root hands over)
        self,
        source: Source,
        relay: Relay,
        log: LogBackend,
        bell: Bell,
        pace: Pace,
        measures: Measures,
        closing: Closing,
    ) -> None:
        self._source = source
        self._relay = relay
        self._log = log
        self._bell = bell
        self._pace = pace
        self._measures = measures
        self._closing = closing
        self._replica = closing.channel.state.replica
        self._kept = -1
        self._due = 0.0
        self._look_due = 0.0
        self._discard_due = time.monotonic() + _DISCARD_SECONDS
        self._alive = time.monotonic() - _ALIVE_SECONDS + _CLAIMED_SECONDS

    def run(self, stop: threading.Event, well: Callable[[], None]) -> None:
        """Work until told to stop, or until the primary is closed for the next epoch.

        ``well`` hears of every round of house-keeping that went well.
        """
        self._well = well
        self._relay.claim()
        if read_stopped(self._log):
            send_stopped(self._log, "")
        self._closing.primary.lease = self._relay.lease
        self._relay.publish_schema()
        self._copy(stop)
        if not stop.is_set():
            self._relay.publish_copied()
        if not self._follow(stop):
            self._relay.checkpoint()

    def _copy(self, stop: threading.Event) -> None:
        chunks = 0
        while not stop.is_set() and self._relay.publish_chunk():
            chunks += 1
            if chunks % _CHUNKS_A_FLUSH == 0:
                self._relay.flush()
                reached("snapshot-flushed")
            self._keep_house()

    def _follow(self, stop: threading.Event) -> bool:
        """True when the primary was closed."""
        while not stop.is_set():
            if self._take_part():
                return True
            if self._relay.publish_changes():
                self._measures.logged()
            else:
                self._bell.wait(self._pace.poll)
            self._keep_house()
        return False

    def _take_part(self) -> bool:
        now = time.monotonic()
        if now < self._look_due:
            return False
        self._look_due = now + _LOOK_SECONDS
        state = self._closing.channel.look()
        check_not_completed(state)
        attempt = state.attempt
        return attempt is not None and self._closing.take_part(attempt, self._relay)

    def _keep_house(self) -> None:
        now = time.monotonic()
        if now < self._due:
            return
        report = read_report(self._log, self._replica)
        self._check_report(report)
        if self._relay.progress.number != self._kept:
            self._relay.checkpoint()
            self._kept = self._relay.progress.number
        if report.incarnation == self._source.incarnation:
            self._prune(max(0, report.seq - 1))  # the last one published tells a restored file
            self._discard(report.offset, now)
        if now - self._alive > _ALIVE_SECONDS:
            self._relay.publish_alive()
            self._alive = now
        depth, high = self._source.depth()
        oldest, verdict = self._source.oldest_ms(report.seq), read_verdict(self._log, self._source.origin)
        state, relay = self._closing.channel.state, self._relay
        self._measures.kept_house(House(relay.progress, relay.totals, report, depth, high, oldest, verdict, state))
        self._well()
        self._due = now + self._pace.housekeeping

    def _prune(self, seq: int) -> None:
        """Small transactions, for as long as the application does not have to wait for them noticeably."""
        end = time.monotonic() + _PRUNE_SECONDS
        pruned = self._pace.prune_rows
        while pruned == self._pace.prune_rows and time.monotonic() < end:
            pruned = self._source.prune(seq, self._pace.prune_rows)
            if pruned:
                reached("pruned")
                self._measures.pruned(pruned)

    def _discard(self, applied: int, now: float) -> None:
        """Let the embedded log forget what is applied, behind the checkpoint and verified; the anchors stay."""
        if now < self._discard_due:
            return
        needed = read_needed(self._log, time.time_ns() // 1_000_000)
        upto = min(applied, self._relay.progress.offset)
        self._log.spine.discard(min(upto, needed.offset) if needed else upto)
        self._discard_due = now + _DISCARD_SECONDS

    def _check_report(self, report: Report) -> None:
        """A replica that applied groups of a higher lease proves that this capture was deposed."""
        lease = self._relay.lease
        if report.incarnation == self._source.incarnation and report.lease > lease:
            what = f"another capture has taken over with lease {report.lease}"
            raise LeaseLost(what, where=f"lease {lease}", remedy="Run one capture a source")
