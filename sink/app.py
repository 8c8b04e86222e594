"""The program ``switchback-sink``: opens the replica and the log, and wires the parts together."""

from __future__ import annotations

import gc
from contextlib import ExitStack

from shared.findings import Finding
from shared.log.opening import open_log_of
from shared.log.spine import Reader
from shared.metrics import SinkMetrics
from shared.program import Context, run_program
from shared.reports import Report
from sink.applier import Applier, Limits, Standing
from sink.measures import Measures
from sink.postgres.replica import PostgresReplica
from sink.session import Session


def main() -> None:
    """Run the daemon."""
    run_program("sink", serve, needs=("target", "stream"), port="sink_port")


def serve(context: Context) -> None:
    """Work until told to stop; a server that is away is waited for."""
    gc.set_threshold(100_000, 50, 50)  # rows come by the ten thousand: looking for cycles among them costs a third
    measures = Measures(SinkMetrics(context.registry))
    context.retrying.run(lambda: _work(context, measures))


def _work(context: Context, measures: Measures) -> None:
    settings = context.settings
    with ExitStack() as stack:
        dsn = settings.target.get_secret_value()

        def tell(finding: Finding) -> None:
            measures.found(finding)
            context.logger.warning(finding.what, code=finding.code, where=finding.where, remedy=finding.remedy)

        replica = PostgresReplica(dsn, settings.stream, settings.types, settings.existing, tell)
        stack.callback(replica.close)
        ledger, schema = replica.open()
        log = open_log_of(settings)
        stack.callback(log.close)
        reader = Reader(log.spine, settings.stream, ledger.position)
        context.logger.info("goes on behind", position=str(ledger.position), seq=ledger.seq)
        report = Report(ledger.incarnation, *ledger.position.parts, ledger.seq, copied=ledger.copied)
        session = Session(log, reader, replica, measures, report)
        limits = Limits(settings.batch_changes, settings.batch_bytes)
        applier = Applier(replica, Standing(ledger.incarnation, ledger.seq, schema), limits, session)
        session.run(applier, context.stop, context.retrying.well)


if __name__ == "__main__":
    main()
