"""The program ``switchback-sink``: opens the replica and the log, and wires the parts together."""

from __future__ import annotations

import gc
from contextlib import ExitStack, closing

from shared.control.channel import Channel
from shared.control.fold import check_not_completed
from shared.findings import Finding
from shared.log.opening import open_log_of
from shared.log.spine import Reader
from shared.metrics import SinkMetrics
from shared.program import Context, run_program
from shared.reports import Report
from sink.applier import Applier, Limits, Standing
from sink.measures import Measures
from sink.opening import Taker
from sink.postgres.replica import PostgresReplica
from sink.session import Session
from sink.sqlite.replica import SqliteReplica


def main() -> None:
    """Run the daemon."""
    run_program("sink", serve, needs=("target", "stream"), port="sink_port")


def serve(context: Context) -> None:
    """Work until told to stop; a server that is away is waited for."""
    gc.set_threshold(100_000, 50, 50)  # rows come by the ten thousand: looking for cycles among them costs a third
    measures = Measures(SinkMetrics(context.registry), context.pulse)
    context.retrying.run(lambda: _work(context, measures))


def _work(context: Context, measures: Measures) -> None:
    """One epoch after the other."""
    while not context.stop.is_set():
        with ExitStack() as stack:
            _work_in_epoch(context, measures, stack)


def _work_in_epoch(context: Context, measures: Measures, stack: ExitStack) -> None:
    settings = context.settings
    log = open_log_of(settings)
    stack.callback(log.close)
    channel = Channel(log.control, context.heard)
    state = channel.open()
    check_not_completed(state)
    side = state.replica
    replica = stack.enter_context(closing(_open_replica(context, measures, side)))
    taker = Taker(replica, channel, context.stop.is_set, context.logger)
    if not taker.settle():
        return
    ledger, schema = replica.open()
    reader = Reader(log.spine, settings.stream, ledger.position)
    context.logger.info("goes on behind", replica=side, position=str(ledger.position), seq=ledger.seq)
    report = Report(ledger.incarnation, *ledger.position.parts, ledger.seq, copied=ledger.copied)
    session = Session(log, reader, replica, measures, report, taker)
    limits = Limits(settings.batch_changes, settings.batch_bytes)
    applier = Applier(replica, Standing(ledger.incarnation, ledger.seq, schema), limits, session)
    session.run(applier, context.stop, context.retrying.well)


def _open_replica(context: Context, measures: Measures, side: str) -> PostgresReplica | SqliteReplica:
    settings = context.settings

    def tell(finding: Finding) -> None:
        measures.found(finding)
        context.logger.warning(finding.what, **finding.details)

    if side == "sqlite":
        return SqliteReplica(settings.source, settings.busy_seconds)
    dsn = settings.target.get_secret_value()
    return PostgresReplica(dsn, settings.stream, settings.types, settings.existing, tell)


if __name__ == "__main__":
    main()
