"""The central proof of capture: after each statement the replayed change log equals the tables, class for class.

``SWITCHBACK_TEST_SEEDS=from:to`` runs other seeds than the usual ones.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import suppress
from pathlib import Path

import pytest

from random_sql import LATE_TRIGGERS, ODD_ZOO, STRICT_ZOO, ZOO, random_statements
from replay import Model
from shared.sqlite.catalog import read_schema
from shared.sqlite.changelog import prune
from shared.sqlite.connection import connect, writing
from shared.sqlite.installation import check_installed, install, overtaken

FIRST, LAST = map(int, os.environ.get("SWITCHBACK_TEST_SEEDS", "0:240").split(":"))
STEP = 20


def run(db: sqlite3.Connection, sql: str) -> None:
    with suppress(sqlite3.Error):
        db.execute(sql).fetchall()


@pytest.fixture(scope="module")
def templates(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The zoo with capture installed, and with triggers of the application's made before and after."""
    return make_templates(tmp_path_factory.mktemp("templates"))


def make_templates(folder: Path) -> list[Path]:
    paths = [folder / f"{number}.db" for number in range(3)]
    for number, path in enumerate(paths):
        app = sqlite3.connect(path, isolation_level=None)
        app.execute("PRAGMA synchronous = OFF")
        app.executescript(ZOO + STRICT_ZOO + ODD_ZOO)
        if number:
            set_up(app, path, late=number == 2)
        app.close()
    return paths


def set_up(app: sqlite3.Connection, path: Path, *, late: bool) -> None:
    ours = connect(path)
    ours.execute("PRAGMA synchronous = OFF")
    schema = read_schema(ours)
    install(ours, schema, "s")
    if late:
        app.executescript(LATE_TRIGGERS)
        assert check_installed(ours, schema) == []
        assert install(ours, schema, "s").created  # ours run first again
    assert overtaken(ours, schema) == []
    ours.close()


def follow(templates: list[Path], path: Path, seed: int) -> None:
    """Every tenth sequence begins before the installation, the others with empty tables."""
    statements = random_statements(seed, 120, odd=True)
    midway = seed % 10 == 0
    shutil.copyfile(templates[0 if midway else 1 + seed % 2], path)
    app = sqlite3.connect(path, isolation_level=None)
    app.execute("PRAGMA synchronous = OFF")
    app.execute(f"PRAGMA foreign_keys = {seed % 3 > 0}")
    app.execute(f"PRAGMA recursive_triggers = {seed % 4 == 0}")
    if midway:
        for sql in statements[:30]:
            run(app, sql)
        run(app, "ROLLBACK")
        set_up(app, path, late=False)
    try:
        follow_statements(app, path, statements[30 if midway else 0 :])
    except AssertionError as error:
        raise AssertionError(f"seed {seed}\n{error}") from error
    finally:
        app.close()


def follow_statements(app: sqlite3.Connection, path: Path, statements: list[str]) -> None:
    ours = connect(path)
    ours.execute("PRAGMA synchronous = OFF")
    model = Model(app, read_schema(ours))
    for number, sql in enumerate(statements):
        run(app, sql)
        try:
            model.check()
        except AssertionError as error:
            history = ";\n".join(statements[: number + 1])
            raise AssertionError(f"{error}\n{history}") from error
        if number % 25 == 0 and not app.in_transaction:
            with writing(ours):
                prune(ours, model.seq, 1000)
    ours.close()


@pytest.mark.parametrize("first", range(FIRST, LAST, STEP))
def test_the_replayed_log_equals_the_tables_after_every_statement(
    first: int, templates: list[Path], tmp_path: Path
) -> None:
    for seed in range(first, min(first + STEP, LAST)):
        follow(templates, tmp_path / "source.db", seed)
        (tmp_path / "source.db").unlink()
