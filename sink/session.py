"""From an opened replica and an opened log to the first error: read, apply, report."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from shared.control.fold import check_not_completed
from shared.errors import Hold, Stop
from shared.log.contract import LogBackend
from shared.log.spine import Reader
from shared.reports import Report, read_stopped, send_report
from shared.steps import reached
from sink.applier import Applied, Applier
from sink.measures import Measures
from sink.opening import Taker
from sink.replica import Replica

_READ_SECONDS = 0.1
_REPORT_SECONDS = 0.5
_ROOM_SECONDS = 2.0
_GLANCE_SECONDS = 5.0  # between two looks at what only metrics need


class _Room(NamedTuple):
    """How far to read, and for how long, for what makes room for a row."""

    end: int
    until: float


class Session:
    """Applies one stream until told to stop or until its replica is opened; reports to the log twice a second."""

    def __init__(  # noqa: PLR0913  (what the composition root hands over)
        self, log: LogBackend, reader: Reader, replica: Replica, measures: Measures, report: Report, taker: Taker
    ) -> None:
        self._log = log
        self._reader = reader
        self._replica = replica
        self._measures = measures
        self._report = report
        self._taker = taker
        self._name = taker.channel.state.replica
        self._sent: Report | None = None
        self._due = self._glance_due = 0.0
        self._room: _Room | None = None
        self._barrier: str | None = ""  # the attempt of a barrier to look at; one may have come before a restart

    def run(self, applier: Applier, stop: threading.Event, well: Callable[[], None]) -> None:
        """Work until it ends; why the stream must stand still goes into the last report."""
        reached("started")
        self._taker.channel.warm()
        try:
            while not stop.is_set() and not self._take_part():
                applier.apply(self._reader.read(_READ_SECONDS))
                self._await_room(applier)
                if not self._barrier:  # behind one writers wait: that comes first
                    self._send(time.monotonic(), well)
        except (Hold, Stop) as trouble:
            send_report(self._log, self._name, self._stopped(trouble))
            raise
        self._send(self._due, well)

    def _await_room(self, applier: Applier) -> None:
        """Rows are in each other's way: what was in the log by then may mend that, and a little that comes after."""
        if applier.unsettled is None:
            self._room = None
        elif self._room is None:
            self._room = _Room(self._log.spine.bounds()[1], time.monotonic() + _ROOM_SECONDS)
        elif self._reader.offset >= self._room.end and time.monotonic() >= self._room.until:
            raise applier.unsettled

    def _stopped(self, trouble: Hold | Stop) -> Report:
        return msgspec.structs.replace(self._report, trouble=str(trouble), error=trouble.label)

    def _take_part(self) -> bool:
        named, self._barrier = self._barrier, None
        return named is not None and self._taker.take_part(self._report.number, named)

    def applied(self, applied: Applied) -> None:
        """Take note of a commit."""
        header = applied.header
        copied = self._report.copied or (header.kind == "barrier" and header.meta.get("purpose") == "copied")
        seq = max(self._report.seq, header.last_seq)
        if header.meta.get("purpose") == "handover":
            self._barrier = str(header.meta.get("attempt", ""))
        self._measures.applied(applied)
        speed = self._measures.speed
        self._report = Report(header.incarnation, *applied.position.parts, seq, copied=copied, speed=speed)

    def _send(self, now: float, well: Callable[[], None]) -> None:
        if now < self._due:
            return
        self._due = now + _REPORT_SECONDS
        check_not_completed(self._taker.channel.look())
        self._measures.looked(self._report, self._log.spine.bounds()[1], self._replica.fallbacks)
        self._glance(now)
        well()
        if self._report != self._sent:
            send_report(self._log, self._name, self._report)
            reached("reported")
            self._sent = self._report

    def _glance(self, now: float) -> None:
        if now >= self._glance_due:
            self._measures.glanced(self._name, self._replica.count_refused(), read_stopped(self._log))
            self._glance_due = now + _GLANCE_SECONDS
