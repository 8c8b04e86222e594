"""The central proof of capture: after each statement the replayed change log equals the tables, class for class.

``SWITCHBACK_SEEDS=from:to`` runs other seeds than the usual ones.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from pathlib import Path

import pytest

from random_sql import LATE_TRIGGERS, ODD_ZOO, STRICT_ZOO, ZOO, random_statements, statements_of
from replay import Model
from shared.sqlite.catalog import read_schema
from shared.sqlite.changelog import prune
from shared.sqlite.connection import connect, writing
from shared.sqlite.installation import check_installed, install, overtaken

FIRST, LAST = map(int, os.environ.get("SWITCHBACK_SEEDS", "0:240").split(":"))
STEP = 20


def run(db: sqlite3.Connection, sql: str) -> None:
    with suppress(sqlite3.Error):
        db.execute(sql).fetchall()


def follow(path: Path, seed: int) -> None:
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA synchronous = OFF")
    for sql in statements_of(ZOO + STRICT_ZOO + ODD_ZOO):
        db.execute(sql)
    statements = random_statements(seed, 120, odd=True)
    for sql in statements[:30]:
        run(db, sql)
    if db.in_transaction:
        db.execute("ROLLBACK")
    install_and_follow(db, path, statements[30:], seed)
    db.close()


def install_and_follow(db: sqlite3.Connection, path: Path, statements: list[str], seed: int) -> None:
    ours = connect(path)
    schema = read_schema(ours)
    install(ours, schema, "s")
    if seed % 2:
        for sql in statements_of(LATE_TRIGGERS):
            db.execute(sql)
        assert check_installed(ours, schema) == []
        assert install(ours, schema, "s").created  # ours run first again
        assert overtaken(ours, schema) == []
    model = Model(db, schema)
    done = []
    for number, sql in enumerate(statements):
        done.append(sql)
        run(db, sql)
        try:
            model.check()
        except AssertionError as error:
            history = ";\n".join(done)
            raise AssertionError(f"seed {seed}\n{error}\n{history}") from error
        if number % 25 == 0 and not db.in_transaction:
            with writing(ours):
                prune(ours, model.seq, 1000)
    ours.close()


@pytest.mark.parametrize("first", range(FIRST, LAST, STEP))
def test_the_replayed_log_equals_the_tables_after_every_statement(first: int, tmp_path: Path) -> None:
    for seed in range(first, min(first + STEP, LAST)):
        follow(tmp_path / f"{seed}.db", seed)
