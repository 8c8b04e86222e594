"""From SQLite through the log to PostgreSQL in one process: the copy, and changes while it runs and after it."""

from __future__ import annotations

import time
from pathlib import Path

from inprocess import InProcess
from traffic import Traffic, make_database


def test_a_copy_and_what_follows_it_are_equal_to_the_source(tmp_path: Path, postgres_dsn: str) -> None:
    source = make_database(tmp_path / "app.db")
    pipeline = InProcess(source, postgres_dsn)
    with Traffic(source, writers=2) as traffic:
        pipeline.copy()
        for _ in range(20):
            time.sleep(0.02)
            pipeline.follow()
        traffic.end()
    pipeline.follow()
    assert len(traffic.acknowledged) > 10
    assert not traffic.trouble
    assert pipeline.differences() == []
    pipeline.close()
