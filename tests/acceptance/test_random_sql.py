"""The central proof: random SQL at the source, and after every group the replica equals it, class for class.

A *world* is a database with a zoo of tables; in each one, sequences of random statements run (every OR
clause, upserts, cascades, triggers, savepoints, rollbacks, key changes), and after each sequence everything
is published and applied as one group, and both sides are compared whole.  ``SWITCHBACK_TEST_WORLDS=from:to`` runs
other worlds than the suite's.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

import pytest

from inprocess import InProcess
from random_sql import LATE_TRIGGERS, STRICT_ZOO, ZOO, random_statements, statements_of

FIRST, LAST = map(int, os.environ.get("SWITCHBACK_TEST_WORLDS", "0:20").split(":"))
SEQUENCES = 105
STATEMENTS = 4
BEFORE = 40


def make_world(path: Path, seed: int) -> sqlite3.Connection:
    application = sqlite3.connect(path, isolation_level=None)
    application.execute(f"PRAGMA journal_mode={'wal' if seed % 2 else 'delete'}")
    application.execute("PRAGMA synchronous=OFF")
    for sql in statements_of(ZOO + STRICT_ZOO):
        application.execute(sql)
    return application


def run(application: sqlite3.Connection, statements: list[str]) -> None:
    """Statements may fail, as they do in life; a transaction that is left open ends here."""
    for sql in statements:
        with suppress(sqlite3.Error):
            application.execute(sql).fetchall()
    if application.in_transaction:
        application.execute("COMMIT")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", range(FIRST, LAST))
def test_the_replica_equals_the_source_after_every_group(seed: int, tmp_path: Path, postgres_dsn: str) -> None:
    path = tmp_path / "world.db"
    with closing(make_world(path, seed)) as application:
        statements = random_statements(seed, BEFORE + SEQUENCES * STATEMENTS)
        run(application, statements[:BEFORE])
        batch = 3 if seed % 3 == 0 else 5_000  # a small one streams its groups in pieces
        with closing(InProcess(path, postgres_dsn, chunk_rows=7, batch_changes=batch)) as pipeline:
            if seed % 4 == 3:
                for sql in statements_of(LATE_TRIGGERS):
                    application.execute(sql)
                pipeline.reinstall()
            pipeline.copy()
            assert pipeline.differences() == []
            for start in range(BEFORE, len(statements), STATEMENTS):
                sequence = statements[start : start + STATEMENTS]
                run(application, sequence)
                pipeline.follow()
                assert pipeline.differences() == [], f"seed {seed}, statements {start}: {sequence}"
                if start % (STATEMENTS * 25) == 0:
                    pipeline.restart_sink()
                    pipeline.restart_capture()
