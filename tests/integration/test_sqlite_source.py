"""What capture must find out about its SQLite file before it publishes anything more of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from capture.sqlite import opening
from capture.sqlite.opening import open_source
from inprocess import InProcess
from shared.errors import SchemaChanged, SourceRestored
from shared.logs import Logger, get_logger
from shared.settings import Settings
from shared.sqlite import fence
from shared.sqlite.connection import writing

DDL = "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'one'), (2, 'two')"
REBUILD = """
BEGIN;
CREATE TABLE new (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO new SELECT * FROM t;
DROP TABLE t; ALTER TABLE new RENAME TO t;
COMMIT;
"""


@pytest.fixture(params=["wal", "delete"])
def app(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(tmp_path / "app.db", isolation_level=None)) as db:
        db.execute(f"PRAGMA journal_mode = {request.param}")
        db.executescript(DDL)
        yield db


@pytest.fixture
def settings(app: sqlite3.Connection, tmp_path: Path) -> Settings:
    return Settings(source=tmp_path / "app.db", stream="s", busy_seconds=1)


@pytest.fixture
def logger() -> Logger:
    return get_logger("test")


@pytest.fixture
def pipeline(app: sqlite3.Connection, tmp_path: Path, postgres_dsn: str) -> Iterator[InProcess]:
    with closing(InProcess(tmp_path / "app.db", postgres_dsn)) as pipeline:
        pipeline.copy()
        yield pipeline


def _write(app: sqlite3.Connection, keys: range) -> None:
    app.execute("BEGIN")
    app.executemany("INSERT INTO t VALUES (?, 'written')", [(key,) for key in keys])
    app.execute("COMMIT")


def _migrate_before(step: str, app: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Tries a migration in front of that step of capture's start; the list names the step once it was done."""
    app.execute("PRAGMA busy_timeout = 0")
    usual = getattr(opening, step)
    migrated: list[str] = []

    def step_and_migration(*args: Any) -> Any:
        if not migrated:
            try:
                app.executescript(REBUILD)
            except sqlite3.OperationalError:
                app.rollback()
            else:
                migrated.append(step)
        return usual(*args)

    monkeypatch.setattr(opening, step, step_and_migration)
    return migrated


@pytest.mark.parametrize("step", ["read_schema", "stands", "_check_keys", "SqliteSource"])
def test_a_migration_at_any_moment_of_captures_start_is_found(
    app: sqlite3.Connection, settings: Settings, logger: Logger, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    with open_source(settings, logger):
        pass
    migrated = _migrate_before(step, app, monkeypatch)
    if step == "stands" and app.execute("PRAGMA journal_mode").fetchone() == ("delete",):  # readers keep it waiting
        _open_and_look(settings, logger)
        assert not migrated
        return
    with pytest.raises(SchemaChanged, match="triggers"):
        _open_and_look(settings, logger)
    assert migrated


def test_a_migration_has_to_wait_while_capture_is_installed(
    app: sqlite3.Connection, settings: Settings, logger: Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrated = _migrate_before("install_within", app, monkeypatch)
    with open_source(settings, logger):
        assert not migrated


def test_no_writer_waits_for_a_capture_that_is_started_again(
    app: sqlite3.Connection, settings: Settings, logger: Logger
) -> None:
    """After a rollback they wait to go on, and to look at all the triggers takes a tenth of a second."""
    with open_source(settings, logger):
        pass
    with writing(app):
        fence.put_up(app, ["t"])
    with writing(app):
        fence.take_down(app)
    with writing(app):
        app.execute("INSERT INTO t VALUES (7, 'in a transaction that is not over')")
        with open_source(settings, logger) as source:
            assert source.high() == 0


def _open_and_look(settings: Settings, logger: Logger) -> None:
    with open_source(settings, logger) as source:
        source.take_lease()
        source.high()


@pytest.mark.parametrize(
    ("statement", "undo"),
    [("CREATE INDEX i ON t (v)", "DROP INDEX i"), ("CREATE TABLE other (a)", "DROP TABLE other")],
)
def test_an_index_or_a_table_that_comes_stops_capture_and_once_it_is_gone_again_nothing_is_missing(
    app: sqlite3.Connection, settings: Settings, logger: Logger, statement: str, undo: str
) -> None:
    with open_source(settings, logger) as source:
        source.take_lease()
        app.execute(statement)
        app.execute("UPDATE t SET v = 'logged'")
        with pytest.raises(SchemaChanged, match="a migration changed"):
            source.high()
    with pytest.raises(SchemaChanged, match="while capture was away"):
        _open_and_look(settings, logger)
    app.execute(undo)
    with open_source(settings, logger) as source:
        source.take_lease()
        assert [change.values[1] for page in source.changes(0, source.high()) for change in page] == ["logged"] * 2


def test_views_and_statistics_may_come(app: sqlite3.Connection, settings: Settings, logger: Logger) -> None:
    with open_source(settings, logger) as source:
        source.take_lease()
        app.execute("CREATE VIEW w AS SELECT v FROM t")
        app.execute("ANALYZE")
        assert source.high() == 0


def test_triggers_saved_dropped_and_made_again_around_writes_stop_capture(
    app: sqlite3.Connection, pipeline: InProcess
) -> None:
    _made_again(app, "UPDATE t SET v = 'not logged' WHERE id = 1")
    with pytest.raises(SchemaChanged, match="made again"):
        pipeline.follow()


def test_triggers_made_again_while_no_capture_ran_keep_it_from_starting(
    app: sqlite3.Connection, settings: Settings, logger: Logger
) -> None:
    with open_source(settings, logger):
        pass
    _made_again(app, "UPDATE t SET v = 'not logged' WHERE id = 1")
    with pytest.raises(SchemaChanged, match="made again"), open_source(settings, logger):
        pass


def test_a_rebuild_that_makes_the_triggers_again_stops_capture(app: sqlite3.Connection, pipeline: InProcess) -> None:
    saved = app.execute("SELECT sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 't'").fetchall()
    app.executescript(REBUILD.replace("SELECT *", "SELECT id, upper(v)").replace("COMMIT;", ""))
    for (sql,) in saved:
        app.execute(sql)
    app.execute("COMMIT")
    with pytest.raises(SchemaChanged, match="made again"):
        pipeline.follow()


def _made_again(app: sqlite3.Connection, write: str) -> None:
    app.execute("BEGIN")
    saved = app.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
    for name, _ in saved:
        app.execute(f'DROP TRIGGER "{name}"')
    app.execute(write)
    for _, sql in saved:
        app.execute(sql)
    app.execute("COMMIT")


@pytest.mark.parametrize("more", [19, 20, 21, 60])
def test_a_file_restored_under_an_open_capture_stops_it_however_many_changes_came_since(
    app: sqlite3.Connection, pipeline: InProcess, more: int
) -> None:
    _write(app, range(10, 20))
    pipeline.follow()
    with closing(sqlite3.connect(":memory:")) as backup:
        app.backup(backup)
        _write(app, range(20, 40))
        pipeline.follow()
        backup.backup(app)
    _write(app, range(50, 50 + more))
    with pytest.raises(SourceRestored):
        pipeline.follow()


def test_a_file_restored_to_what_was_published_goes_on(app: sqlite3.Connection, pipeline: InProcess) -> None:
    _write(app, range(10, 20))
    pipeline.follow()
    with closing(sqlite3.connect(":memory:")) as backup:
        app.backup(backup)
        backup.backup(app)
    _write(app, range(50, 80))
    pipeline.follow()
    assert pipeline.differences() == []


def test_a_file_restored_before_anything_was_published_stops_capture_or_is_the_same(
    app: sqlite3.Connection, pipeline: InProcess
) -> None:
    with closing(sqlite3.connect(":memory:")) as backup:
        app.backup(backup)
        _write(app, range(10, 20))
        backup.backup(app)
    _write(app, range(50, 80))
    pipeline.follow()
    assert pipeline.differences() == []
