"""The program ``switchback-topics``: opens the log and wires the parts together."""

from __future__ import annotations

import gc
import time
from contextlib import ExitStack

from shared.control.channel import Channel
from shared.errors import BadInput
from shared.log.opening import client_settings, open_log_of
from shared.log.spine import Reader
from shared.metrics import TopicsMetrics
from shared.program import Context, run_program
from shared.settings import Settings
from sink.topics.broker import Broker
from sink.topics.progress import read_progress
from sink.topics.projection import Shown
from sink.topics.session import Session

_DAY_MS = 24 * 3600 * 1000
_SETTLE_SECONDS = 2.0
"""After a crash: what the killed program had handed to the broker may still be on its way into the topics."""


def main() -> None:
    """Run the program."""
    run_program("topics", serve, needs=("stream",), port="topics_port")


def serve(context: Context) -> None:
    """Work until told to stop; a broker that is away is waited for."""
    gc.set_threshold(100_000, 50, 50)
    if not context.settings.log.startswith("kafka:"):
        what = f"the table topics need a log in Kafka, and it is {context.settings.log!r}"
        raise BadInput(what, remedy="Set log = kafka://HOST:PORT for all programs")
    metrics = TopicsMetrics(context.registry)
    context.retrying.run(lambda: _work(context, metrics))


def _work(context: Context, metrics: TopicsMetrics) -> None:
    settings = context.settings
    with ExitStack() as stack:
        log = open_log_of(settings)
        stack.callback(log.close)
        channel = Channel(log.control, context.heard)
        channel.open()
        progress = read_progress(log)
        if not progress.ended:
            time.sleep(_SETTLE_SECONDS)
        broker = _open_broker(settings)
        stack.callback(broker.close)
        reader = Reader(log.spine, settings.stream, progress.position)
        context.logger.info("goes on behind", position=str(progress.position))
        exclude = frozenset(settings.topics_exclude)
        session = Session(settings.stream, log, reader, broker, progress, _shown(settings), exclude, metrics)

        def well() -> None:
            context.pulse.stands(copied=True, behind=0.0)
            context.retrying.well()

        session.run(context.stop, lambda: channel.look().completed, well)


def _open_broker(settings: Settings) -> Broker:
    bootstrap = settings.log.removeprefix("kafka://").rstrip("/")
    return Broker(
        client_settings(settings.kafka),
        bootstrap,
        retention_ms=settings.topics_retention_days * _DAY_MS,
        replication=settings.kafka.replication,
    )


def _shown(settings: Settings) -> Shown:
    embedded = settings.topics_format == "schema"
    return Shown(embedded, settings.topics_tombstones, frozenset(settings.topics_as_text), settings.types)


if __name__ == "__main__":
    main()
