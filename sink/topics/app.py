"""The program ``switchback-topics``: publishes every table's changes for any consumer, in Debezium's envelope."""

from __future__ import annotations

import gc
import time
import uuid
from contextlib import ExitStack, closing
from typing import NamedTuple

from shared.control.channel import Channel
from shared.control.fold import check_not_completed
from shared.errors import BadInput
from shared.log.kafka.clients import Settings as Client
from shared.log.kafka.clients import make_admin
from shared.log.kafka.errors import translated
from shared.log.kafka.topics import ensure_topics, table_topic
from shared.log.opening import client_settings, open_log_of
from shared.log.spine import Reader
from shared.metrics import TopicsMetrics
from shared.program import Context, run_program
from shared.settings import Settings
from shared.steps import reached
from shared.tables import Schema
from sink.topics.ends import Ends, check_ends, read_ends
from sink.topics.measures import Measures
from sink.topics.names import topic_names
from sink.topics.progress import Progress, Published
from sink.topics.projection import Projection
from sink.topics.publisher import LARGEST_BYTES, Publisher
from sink.topics.session import Opened, Session
from sink.topics.shapes import Shape, Wanted

_DAY_MS = 24 * 3600 * 1000
_HANDOVER_SECONDS = 1.5
"""How long one that was deposed, or the broker with what a killed one sent, may take to be done."""


def main() -> None:
    """Run the daemon."""
    run_program("topics", serve, needs=("stream",), port="topics_port")


def serve(context: Context) -> None:
    """Work until told to stop; a broker that is away is waited for."""
    if not context.settings.log.startswith("kafka://"):
        raise BadInput("the log is not in Kafka", where=context.settings.log, remedy="Set log to kafka://HOST:PORT")
    gc.set_threshold(100_000, 50, 50)  # rows come by the ten thousand
    measures = Measures(TopicsMetrics(context.registry))
    publisher = uuid.uuid4().hex
    context.retrying.run(lambda: _work(context, measures, publisher))


def _work(context: Context, measures: Measures, publisher: str) -> None:
    settings = context.settings
    with ExitStack() as stack:
        log = open_log_of(settings)
        stack.callback(log.close)
        channel = Channel(log.control, context.heard)
        state = channel.open()
        progress = Progress(log, settings.topics_prefix or settings.stream, publisher)
        if progress.has_all(log.spine.bounds()[1]):
            check_not_completed(state)
        before = progress.claim()
        reached("publishing-claimed")
        if not before.ended:
            context.stop.wait(_HANDOVER_SECONDS)
        reader = Reader(log.spine, settings.stream, before.position)
        context.logger.info("goes on behind", position=str(before.position))
        opener = _Opener(settings, before)
        session = stack.enter_context(closing(Session(log, reader, progress, channel, measures, opener.open)))
        session.begin(before.position, progress.schema() if before.number else None)

        def well() -> None:
            context.pulse.stands(copied=True, behind=0.0)
            context.retrying.well()

        session.run(context.stop, well)


class _Opener(NamedTuple):
    """Makes what depends on the schema."""

    settings: Settings
    before: Published

    def open(self, schema: Schema) -> Opened:
        """The topics are made and looked at; what stands in them will not be sent again."""
        settings = self.settings
        prefix = settings.topics_prefix or settings.stream
        topics = topic_names(prefix, settings.stream, (table.name for table in schema.tables))
        ends = self._look(topics)
        wanted = Wanted(settings.topics_format == "schema", settings.topics_decimals, settings.types)
        shapes = {table.name: Shape(table, topics[table.name], wanted) for table in schema.tables}
        projection = Projection(
            shapes,
            name=prefix,
            db=settings.source.stem or settings.stream,
            tombstones=settings.topics_tombstones,
            now_ms=lambda: time.time_ns() // 1_000_000,
        )
        return Publisher(self._client, ends), projection

    def _look(self, topics: dict[str, str]) -> Ends:
        settings, names = self.settings, sorted(topics.values())
        kept = table_topic(settings.topics_retention_days * _DAY_MS, LARGEST_BYTES)
        with translated(settings.log), closing(make_admin(self._client)) as admin:
            ensure_topics(admin, dict.fromkeys(names, kept), settings.kafka.replication)
        ends = read_ends(self._client, names)
        check_ends(ends, self.before.offsets)
        return ends

    @property
    def _client(self) -> Client:
        addresses = self.settings.log.removeprefix("kafka://").rstrip("/").split(",")
        return {**client_settings(self.settings.kafka), "bootstrap_servers": addresses}


if __name__ == "__main__":
    main()
