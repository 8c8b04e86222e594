"""The program ``switchback-capture``: opens the primary and the log, and wires the parts together."""

from __future__ import annotations

import fcntl
import gc
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from capture.closing import Closing
from capture.measures import Measures
from capture.relay import Relay
from capture.session import Pace, Session, Side
from capture.sqlite.holding import SqliteHold
from capture.sqlite.opening import SqliteSide
from capture.stopping import told
from shared.control.channel import Channel
from shared.control.fold import State, check_not_completed
from shared.errors import BadInput
from shared.groups import Position
from shared.log.contract import LogBackend
from shared.log.opening import open_log_of
from shared.log.scanning import check_anchor
from shared.log.spine import Writer
from shared.metrics import CaptureMetrics
from shared.program import Context, run_program
from shared.settings import Settings


def main() -> None:
    """Run the daemon."""
    run_program("capture", serve, needs=("source",), port="capture_port")


def serve(context: Context) -> None:
    """Work until told to stop; a server that is away is waited for."""
    settings = context.settings
    gc.set_threshold(100_000, 50, 50)  # rows come by the ten thousand: looking for cycles among them costs a third
    retention = None if settings.log.startswith("embedded:") else settings.retention_days * 86_400.0
    measures = Measures(CaptureMetrics(context.registry), context.pulse, settings.source, retention)
    with _only_one(settings):
        context.retrying.run(lambda: _work(context, measures))


def _work(context: Context, measures: Measures) -> None:
    """One epoch after the other."""
    _check_source(context.settings)
    while not context.stop.is_set():
        with ExitStack() as stack:
            log = stack.enter_context(closing(open_log_of(context.settings)))
            _work_in_epoch(context, measures, log, stack)


def _check_source(settings: Settings) -> None:
    """A wrong path is told before an embedded log is made."""
    if settings.log.startswith("embedded:") and not Path(settings.log.removeprefix("embedded:")).exists():
        SqliteHold(settings.source, settings.stream).standing()


def _work_in_epoch(context: Context, measures: Measures, log: LogBackend, stack: ExitStack) -> None:
    channel = Channel(log.control, context.heard)
    state = channel.open()
    check_not_completed(state)
    stack.enter_context(told(log))
    side = _side_of(context, state)
    settings = context.settings

    def check_log(known: Position) -> None:
        check_anchor(log.spine, settings.stream, known)

    closing_side = Closing(side.hold, channel, check_log, context.stop.is_set, context.logger)
    if not closing_side.settle():
        return
    source, bell = side.open(stack)
    writer = Writer(log.spine, settings.stream, source.incarnation)
    relay = Relay(source, writer, source.progress, measures.published, state.epoch)
    pace = Pace(settings.poll_ms / 1000, settings.prune_seconds, settings.prune_rows)
    session = Session(source, relay, log, bell, pace, measures, closing_side)
    session.run(context.stop, context.retrying.well)


def _side_of(context: Context, state: State) -> Side:
    if state.primary == "postgres":
        from capture.postgres.opening import PostgresSide  # noqa: PLC0415  (psycopg: a quarter of capture's start)

        return PostgresSide(context.settings, context.stop)
    return SqliteSide(context.settings, context.logger)


@contextmanager
def _only_one(settings: Settings) -> Iterator[None]:
    """A lock beside the state: a second capture on this machine is told so instead of deposing the first."""
    path = settings.state_dir / f"{settings.stream}.capture.lock"
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            what = "another capture is running for this stream"
            raise BadInput(what, where=str(path), remedy="Stop it first; one capture a stream") from error
        yield


if __name__ == "__main__":
    main()
