"""From the spine to the topics until told to stop: whole groups, each record once.

A record that a topic has already, by the mark of its last one, is skipped; marks grow within a topic, so what is
behind the last one is what is missing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping

from msgspec.structs import replace

from shared import wire
from shared.errors import SourceRestored, Stop
from shared.groups import Abandoned, Change, Event, Frame, Header, Rows
from shared.log.contract import LogBackend
from shared.log.spine import Reader
from shared.metrics import TopicsMetrics
from shared.steps import reached
from shared.tables import Schema
from sink.topics.broker import Broker, Mark
from sink.topics.progress import Progress, send_progress
from sink.topics.projection import Projection, Record, Shown
from sink.topics.spool import Spool

_READ_SECONDS = 0.25
_PROGRESS_SECONDS = 1.0


class Session:
    """Publishes one stream."""

    def __init__(  # noqa: PLR0913  (what the composition root hands over)
        self,
        stream: str,
        log: LogBackend,
        reader: Reader,
        broker: Broker,
        progress: Progress,
        shown: Shown,
        exclude: frozenset[str],
        metrics: TopicsMetrics,
    ) -> None:
        self._stream = stream
        self._log = log
        self._reader = reader
        self._broker = broker
        self._progress = progress
        self._shown = shown
        self._exclude = exclude
        self._metrics = metrics
        self._projection: Projection | None = None
        self._ends: Mapping[str, Mark] = {}
        self._spool = Spool()
        self._due = 0.0
        if schema := progress.shape:
            self._take_schema(schema)

    def run(self, stop: threading.Event, over: Callable[[], bool], well: Callable[[], None]) -> None:
        """Work until told to stop, or until everything is published and ``over`` says that nothing will follow."""
        self._keep_progress(ended=False)
        while not stop.is_set():
            events = self._reader.read(_READ_SECONDS)
            for event in events:
                self._take(event)
            self._flush()
            if time.monotonic() > self._due:
                self._keep_progress(ended=False)
                self._metrics.log_end_offset.set(self._log.spine.bounds()[1])
                well()
                if not events and over():
                    break
        self._keep_progress(ended=True)

    def _take(self, event: Event) -> None:
        if isinstance(event, Abandoned):
            self._spool.clear()
            return
        if event.piece:
            self._spool.add(event.piece)
        if event.header.last:
            reached("topics-group-read")
            self._publish(event)
            self._spool.clear()

    def _publish(self, frame: Frame) -> None:
        header = frame.header
        self._check_history(header)
        if header.kind == "schema":
            body = b"".join(self._spool.pieces())
            self._take_schema(wire.decode_schema(body))
            self._progress = replace(self._progress, schema=body)
        for record in self._records(header):
            self._send(record, header)
        lease, number, offset = frame.position.parts
        self._progress = replace(
            self._progress, incarnation=header.incarnation, lease=lease, number=number, offset=offset
        )

    def _records(self, header: Header) -> Iterator[Record]:
        if header.kind == "changes":
            return self._made.changes(header, self._changes())
        if header.kind == "snapshot":
            return self._made.rows(header, self._rows())
        return iter(())

    def _changes(self) -> Iterator[Change]:
        for piece in self._spool.pieces():
            yield from (change for change in wire.decode_changes(piece) if change.table not in self._exclude)

    def _rows(self) -> Iterator[Rows]:
        return (rows for rows in map(wire.decode_rows, self._spool.pieces()) if rows.table not in self._exclude)

    def _check_history(self, header: Header) -> None:
        known = self._progress.incarnation
        if known and header.incarnation != known and header.kind == "schema":
            what = "the log goes on with another source database"
            remedy = "Delete the table topics, or use a stream name of its own for each source"
            raise SourceRestored(what, where=f"stream {self._stream}, group {header.number}", remedy=remedy)

    def _take_schema(self, schema: Schema) -> None:
        shown = Schema(tuple(table for table in schema.tables if table.name not in self._exclude))
        self._projection = Projection(self._stream, shown, self._shown)
        self._broker.make(self._projection.topics)
        self._ends = self._broker.ends(self._projection.topics)

    @property
    def _made(self) -> Projection:
        if self._projection is None:
            what = "the log brings rows before any schema"
            remedy = "Its beginning is gone: start this program with the migration, or copy again"
            raise Stop(what, where=f"stream {self._stream}", remedy=remedy)
        return self._projection

    def _send(self, record: Record, header: Header) -> None:
        mark = Mark(header.lease, header.number, record.place)
        end = self._ends.get(record.topic)
        if end and mark.order <= end.order:
            self._metrics.skipped.inc()
            return
        self._broker.send(record.topic, mark, record.key, record.value, record.headers)
        self._metrics.records.labels(record.topic).inc()
        reached("record-sent")

    def _flush(self) -> None:
        if self._broker.flush():
            reached("records-flushed")
        self._metrics.group.set(self._progress.number)
        self._metrics.log_offset.set(self._progress.offset)

    def _keep_progress(self, *, ended: bool) -> None:
        progress = replace(self._progress, ended=ended)
        if progress != self._progress or not ended:
            send_progress(self._log, progress)
            reached("progress-sent")
        self._progress = progress
        self._due = time.monotonic() + _PROGRESS_SECONDS
