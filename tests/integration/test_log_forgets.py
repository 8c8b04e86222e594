"""What the embedded log may forget: all that is applied, but never the place from which reading goes on."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from daemons import wait_until
from inprocess import InProcess
from traffic import Traffic, make_database


def test_both_sides_go_on_after_the_log_forgot_what_is_applied(tmp_path: Path, postgres_dsn: str) -> None:
    source = make_database(tmp_path / "app.db", bulk=200)
    with closing(InProcess(source, postgres_dsn)) as pipeline:
        pipeline.copy()
        with Traffic(source, writers=1) as traffic:
            wait_until("something was written", lambda: len(traffic.acknowledged) > 5)
        pipeline.follow()
        pipeline.relay.checkpoint()
        applied = pipeline.applied_groups[-1].position.offset
        pipeline.log.spine.discard(min(applied, pipeline.relay.progress.offset))
        first, end = pipeline.log.spine.bounds()
        assert (first, end) == (applied, applied + 1)
        pipeline.restart_capture()
        pipeline.restart_sink()
        pipeline.relay.publish_alive()
        pipeline.drain()
        assert pipeline.differences() == []
