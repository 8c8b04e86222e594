"""The loop: whole groups from the spine in, records of the table topics out, and twice a second how far it came."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple, Protocol

from shared import wire
from shared.control.channel import Channel
from shared.control.fold import check_not_completed
from shared.errors import Hold
from shared.groups import Header, Position
from shared.log.contract import LogBackend
from shared.log.spine import Reader
from shared.steps import reached
from shared.tables import Schema
from sink.topics.gathering import Gathering, Group
from sink.topics.measures import Measures
from sink.topics.progress import Progress
from sink.topics.projection import Outgoing, Projection

_READ_SECONDS = 0.1
_REPORT_SECONDS = 0.5
_SURE_SECONDS = 1.0
"""For how long a look at who publishes is believed."""
_LAST_SECONDS = 2.0
"""For how long a completed migration's log must stand still: capture hears of it by itself, and may be at a group."""


class Output(Protocol):
    """Where records go."""

    @property
    def offsets(self) -> dict[str, int]:
        """The offset behind each topic's last record."""

    def send(self, record: Outgoing, header: Header) -> bool:
        """Hand a record over; False where it is there already."""

    def flush(self) -> None:
        """Wait until everything sent is durable."""

    def close(self) -> None:
        """Let go."""


Opened = tuple[Output, Projection]


class _End(NamedTuple):
    """Where the log of a completed migration ends, and from when on that is believed."""

    offset: int = -1
    since: float = 0.0


class Session:
    """Publishes one stream until told to stop; any error leaves it unusable."""

    def __init__(  # noqa: PLR0913  (what the composition root hands over)
        self,
        log: LogBackend,
        reader: Reader,
        progress: Progress,
        channel: Channel,
        measures: Measures,
        open_output: Callable[[Schema], Opened],
    ) -> None:
        self._log = log
        self._reader = reader
        self._progress = progress
        self._channel = channel
        self._measures = measures
        self._open_output = open_output
        self._gathering = Gathering()
        self._output: Output | None = None
        self._projection: Projection | None = None
        self._position = self._kept = Position()
        self._due = self._sure = 0.0
        self._end = _End()
        self._over = False

    def begin(self, position: Position, schema: Schema | None) -> None:
        """Go on behind that group, with the schema where it is behind already."""
        self._position = self._kept = position
        if schema is not None:
            self._output, self._projection = self._open_output(schema)
        self._sure = time.monotonic()

    def run(self, stop: threading.Event, well: Callable[[], None]) -> None:
        """Work until it ends; what stands before a record that cannot be published is sent.

        Stop where the migration is completed, once everything that the log holds is published.
        """
        reached("publishing-started")
        try:
            while not (stop.is_set() or self._over):
                for group in self._gathering.take(self._reader.read(_READ_SECONDS)):
                    reached("publishing-read")
                    self._publish(group)
                self._look(time.monotonic(), well)
        except Hold:
            self._flush()
            raise
        self._flush()
        self._keep(ended=True)
        if self._over:
            check_not_completed(self._channel.state)

    def _publish(self, group: Group) -> None:
        self._make_sure()
        if group.header.kind == "schema":
            self._take_schema(group)
        elif self._projection and self._output:
            self._send(group, self._projection, self._output)
        self._position = group.position

    def _take_schema(self, group: Group) -> None:
        schema = wire.decode_schema(b"".join(group.pieces))
        self._flush()
        self.close()
        self._progress.keep_schema(schema)
        self._output, self._projection = self._open_output(schema)

    def _send(self, group: Group, projection: Projection, output: Output) -> None:
        sent, time_ms = Counter[str](), 0
        for record in projection.records(group):
            self._make_sure()
            if output.send(record, group.header):
                sent[record.topic] += 1
                time_ms = record.time_ms
                reached("publishing-begun")
        reached("publishing-sent")
        self._measures.sent(group.header, sent, time_ms)

    def _look(self, now: float, well: Callable[[], None]) -> None:
        if now < self._due:
            return
        self._due = now + _REPORT_SECONDS
        self._check_owner()
        completed = self._channel.look().completed
        end = self._log.spine.bounds()[1]  # asked behind the look: what a completed migration's log holds is before it
        self._flush()
        reached("publishing-flushed")
        well()
        if self._position != self._kept:
            self._keep()
            reached("publishing-kept")
        self._measures.looked(self._position, end)
        self._over = completed and self._is_last(end, now)

    def _is_last(self, end: int, now: float) -> bool:
        """Whether everything up to there was read and nothing comes any more; what is half a group then stays one."""
        if end != self._end.offset:
            self._end = _End(end, now + _LAST_SECONDS)
        return self._reader.offset >= end and now >= self._end.since

    def _flush(self) -> None:
        if self._output:
            self._output.flush()

    def _keep(self, *, ended: bool = False) -> None:
        offsets = self._output.offsets if self._output else {}
        self._progress.keep(self._position, offsets, self._reader.offset, ended=ended)
        self._kept = self._position

    def _make_sure(self) -> None:
        """A large group takes a while, and a machine may have slept."""
        if time.monotonic() > self._sure + _SURE_SECONDS:
            self._check_owner()

    def _check_owner(self) -> None:
        self._progress.check_owner()
        self._sure = time.monotonic()

    def close(self) -> None:
        """Let go of the producer."""
        output, self._output = self._output, None
        if output:
            output.close()
