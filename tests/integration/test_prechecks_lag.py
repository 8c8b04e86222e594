"""Before a switch: the replica has not got all that was written, or not even the copy."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from background import Background
from captured import Captured
from inprocess import STREAM, InProcess
from prechecking import BACK, codes, look, settings_of
from replicas import close_file
from shared.errors import Stop
from shared.sqlite.connection import connect, writing
from shared.sqlite.replica_state import SqliteLedger, write_ledger

SCRIPT = "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT);"
WRITE = """
WITH RECURSIVE n (id) AS (VALUES (1) UNION ALL SELECT id + 1 FROM n WHERE id < {}) INSERT INTO t (id) SELECT id FROM n
"""


@pytest.fixture
def pipeline(tmp_path: Path, postgres_dsn: str) -> Iterator[InProcess]:
    """Nothing is copied yet."""
    with closing(sqlite3.connect(tmp_path / "app.db")) as application:
        application.executescript(SCRIPT)
    with closing(InProcess(tmp_path / "app.db", postgres_dsn)) as pipeline:
        yield pipeline


def _write(pipeline: InProcess, rows: int) -> None:
    with closing(sqlite3.connect(pipeline.path, timeout=30)) as application, application:
        application.execute(WRITE.format(rows))


def test_changes_that_nobody_applies_refuse_until_they_are_applied(pipeline: InProcess) -> None:
    settings = settings_of(pipeline.path, pipeline.dsn)
    pipeline.copy()
    assert look("lag", settings) == []
    _write(pipeline, 3)
    [finding] = look("lag", settings)
    assert codes([finding]) == [("refuse", "behind")]
    assert finding.what == "the replica is 3 changes behind, and none is applied"
    pipeline.follow()
    assert look("lag", settings) == []


class SlowSink(Background):
    """Moves the ledger by a change at a time."""

    def __init__(self, dsn: str) -> None:
        super().__init__()
        self._dsn = dsn

    def run(self) -> None:
        with psycopg.connect(self._dsn, autocommit=True) as db:
            while not self._end.wait(0.02):
                db.execute("UPDATE switchback.ledger SET seq = seq + 1 WHERE stream = %s", (STREAM,))


def test_changes_that_are_applied_too_slowly_refuse_and_say_how_late_they_are(pipeline: InProcess) -> None:
    settings = settings_of(pipeline.path, pipeline.dsn)
    pipeline.copy()
    _write(pipeline, 100_000)
    with SlowSink(pipeline.dsn):
        [finding] = look("lag", settings)
    assert codes([finding]) == [("refuse", "behind")]
    assert re.fullmatch(r"the replica is [\d,]+ changes \d.+ behind", finding.what)


def test_a_copy_that_is_not_finished_stops_the_look_until_it_is(pipeline: InProcess) -> None:
    settings = settings_of(pipeline.path, pipeline.dsn)
    pipeline.relay.publish_schema()
    pipeline.relay.publish_chunk()
    pipeline.drain()
    with pytest.raises(Stop, match="the copy is not finished"):
        look("lag", settings)
    pipeline.relay.publish_copied()
    pipeline.drain()
    assert look("lag", settings) == []


def test_a_database_that_no_sink_ever_worked_in_stops_the_look(tmp_path: Path, postgres_dsn: str) -> None:
    with pytest.raises(Stop, match="the copy is not finished"):
        look("lag", settings_of(tmp_path / "app.db", postgres_dsn))


def test_changes_of_postgresql_that_sqlite_lacks_refuse_until_they_are_applied(
    tmp_path: Path, postgres_dsn: str
) -> None:
    settings = settings_of(tmp_path / "app.db", postgres_dsn)
    with closing(Captured(tmp_path, postgres_dsn, SCRIPT)) as captured:
        seq = captured.progress.seq
        close_file(settings.source, captured.schema, seq=seq)
        assert look("lag", settings, BACK) == []
        captured.run(WRITE.format(3))
        [finding] = look("lag", settings, BACK)
        assert codes([finding]) == [("refuse", "behind")]
        assert finding.what == "the replica is 3 changes behind, and none is applied"
    _note_applied(settings.source, seq + 3)
    assert look("lag", settings, BACK) == []


def _note_applied(path: Path, seq: int) -> None:
    """As the sink leaves the file."""
    with closing(connect(path)) as db, writing(db):
        write_ledger(db, SqliteLedger(lease=1, number=11, offset=101, seq=seq, epoch=1))
