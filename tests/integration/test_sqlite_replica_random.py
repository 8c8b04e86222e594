"""The central proof of writing to SQLite: after each group the replica is as its primary, class for class.

The replica has all the application's triggers, cascades and constraints, capture's triggers and the fence; none
of them may act on what the sink writes.  ``SWITCHBACK_TEST_SEEDS=from:to`` runs other seeds than the usual ones.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest

from random_sql import LATE_TRIGGERS, ODD_ZOO, STRICT_ZOO, ZOO, random_statements
from replay import Captured
from replicas import Follower, copy_closed
from shared.sqlite.connection import connect
from shared.sqlite.installation import install

FIRST, LAST = map(int, os.environ.get("SWITCHBACK_TEST_SEEDS", "0:40").split(":"))
STEP = 10


def follow(folder: Path, seed: int) -> None:
    captured = Captured(folder / "primary.db", ZOO + STRICT_ZOO + ODD_ZOO)
    app, schema = captured.app, captured.schema
    if seed % 2:
        app.executescript(LATE_TRIGGERS)
        install(captured.ours, schema, "s")
    app.execute(f"PRAGMA foreign_keys = {seed % 3 > 0}")
    app.execute(f"PRAGMA recursive_triggers = {seed % 4 == 0}")
    statements = random_statements(seed, 160, odd=True)
    run(app, [*statements[:40], "ROLLBACK"])
    follower = Follower(app, copy_closed(captured.path, folder / "replica.db", schema), schema)
    try:
        in_groups(follower, statements[40:], Random(seed))
    except AssertionError as error:
        raise AssertionError(f"seed {seed}\n{error}") from error
    finally:
        follower.close()
        app.close()
        captured.ours.close()


def in_groups(follower: Follower, statements: list[str], choose: Random) -> None:
    size = choose.choice((1, 3, 10, 40))
    for start in range(0, len(statements), size):
        run(follower.primary, statements[start : start + size])
        if not follower.primary.in_transaction:
            follower.follow()
            wrong = follower.differences()
            assert wrong == [], f"{wrong}\nafter {statements[start : start + size]}"


def run(db: sqlite3.Connection, statements: list[str]) -> None:
    for sql in statements:
        with suppress(sqlite3.Error):
            db.execute(sql).fetchall()


@pytest.mark.parametrize("first", range(FIRST, LAST, STEP))
def test_the_replica_equals_its_primary_after_every_group(first: int, tmp_path: Path) -> None:
    for seed in range(first, min(first + STEP, LAST)):
        folder = tmp_path / str(seed)
        folder.mkdir()
        follow(folder, seed)
        check_whole(folder / "replica.db")


def check_whole(path: Path) -> None:
    db = connect(path, readonly=True)
    assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    db.close()
