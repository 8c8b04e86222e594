"""The program ``switchback-capture``: opens the source and the log, and wires the parts together."""

from __future__ import annotations

import fcntl
import gc
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager

from capture.measures import Measures
from capture.relay import Relay
from capture.session import Pace, Session
from capture.sqlite.opening import open_source
from capture.wake import Waker
from shared.errors import BadInput
from shared.log.opening import open_log_of
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
    measures = Measures(CaptureMetrics(context.registry), settings.source)
    with _only_one(settings):
        context.retrying.run(lambda: _work(context, measures))


def _work(context: Context, measures: Measures) -> None:
    settings = context.settings
    with ExitStack() as stack:
        source = stack.enter_context(open_source(settings, context.logger))
        log = stack.enter_context(closing(open_log_of(settings)))
        waker = stack.enter_context(closing(Waker(settings.source, source.data_version)))
        writer = Writer(log.spine, settings.stream, source.incarnation)
        relay = Relay(source, writer, source.progress, measures.published)
        pace = Pace(settings.poll_ms / 1000, settings.prune_seconds, settings.prune_rows)
        session = Session(source, relay, log, waker, pace, measures)
        session.run(context.stop, context.retrying.well)


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
