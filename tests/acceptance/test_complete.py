"""The end of a migration, and what is refused on the way there."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from command import QuickCommand
from daemons import Migration
from fix_migration import BAD_INPUT, STOPPED
from operations.cutover.completing import complete
from shared.errors import BadInput
from shared.settings import load_settings
from shared.sqlite.catalog import read_schema
from shared.sqlite.connection import connect, writing
from shared.sqlite.installation import install_within

_TRIGGERS = "SELECT name FROM sqlite_master WHERE type = 'trigger'"


def test_after_the_cutover_complete_removes_what_was_made_and_keeps_the_file_closed(migration: Migration) -> None:
    migration.start()
    migration.wait_in_step()
    command = QuickCommand(migration.source.parent, **migration.settings)
    assert command("complete", "--yes").code == 2
    assert command("cutover", "--unverified").code == 0
    migration.capture.stop()
    migration.sink.stop()
    refused = command("uninstall", "--all", "--yes")
    assert refused.code == 2
    assert "PostgreSQL is the primary" in refused.errors
    migration.start()
    said = command("complete", "--yes")
    assert said.code == 0, said.out + said.errors
    assert "schema switchback" in said.out
    assert "_switchback_log" in said.out
    migration.capture.assert_ended(STOPPED, "completed")
    migration.sink.assert_ended(STOPPED, "completed")
    _assert_begin_nothing_new(migration)
    _assert_said_to_be_over(command)
    with psycopg.connect(migration.dsn) as db:
        assert db.execute("SELECT to_regnamespace('switchback')").fetchone() == (None,)
        assert db.execute("SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'switchback%'").fetchone() == (0,)
        db.execute("INSERT INTO bulk (a) VALUES (7)")
    with closing(sqlite3.connect(migration.source)) as file:
        names = {name for (name,) in file.execute(_TRIGGERS)}
        assert names
        assert all(name.startswith("_switchback_fence_") for name in names)
        with pytest.raises(sqlite3.IntegrityError, match="switchback:"):
            file.execute("UPDATE bulk SET a = 1")


def _assert_begin_nothing_new(migration: Migration) -> None:
    """As a supervisor starts them again, or an operator who forgot a unit."""
    for daemon in (migration.capture, migration.sink):
        daemon.start()
        daemon.assert_ended(STOPPED, "completed", "remove")


def _assert_said_to_be_over(command: QuickCommand) -> None:
    status = command("status")
    assert status.code == 0
    assert "the migration is over since 20" in status.out
    assert "PostgreSQL is the primary" in status.out
    switch = json.loads(command("status", "--json").out)["switch"]
    assert (switch["primary"], switch["epoch"], switch["completed"]) == ("postgres", 1, True)
    for words in (("verify",), ("rollback",), ("complete", "--yes")):
        said = command(*words)
        assert said.code == 2, said
        assert "the migration is completed since 20" in said.errors


def test_unfence_gives_the_file_back_as_it_was(migration: Migration) -> None:
    with closing(sqlite3.connect(migration.source)) as file:
        before = file.execute("SELECT type, name, sql FROM sqlite_master ORDER BY name").fetchall()
    migration.start()
    migration.wait_in_step()
    command = QuickCommand(migration.source.parent, **migration.settings)
    assert command("cutover", "--unverified").code == 0
    assert command("complete", "--yes", "--unfence").code == 0
    with closing(sqlite3.connect(migration.source)) as file:
        assert file.execute("SELECT type, name, sql FROM sqlite_master ORDER BY name").fetchall() == before
        file.execute("UPDATE bulk SET a = 1")


def test_complete_leaves_a_file_alone_that_is_captured_for_another_stream(migration: Migration) -> None:
    """With a mistyped --source it would take away the triggers of a capture that runs, or delete its file."""
    migration.start()
    migration.wait_in_step()
    command = QuickCommand(migration.source.parent, **migration.settings)
    assert command("cutover", "--unverified").code == 0
    other = migration.source.with_name("other.db")
    with closing(sqlite3.connect(other)) as file:
        file.execute("CREATE TABLE t (id INTEGER PRIMARY KEY)")
        with closing(connect(other)) as db, writing(db):
            install_within(db, read_schema(db), "other")
        before = list(file.iterdump())
        for words in ((), ("--no-keep-data",), ("--unfence",)):
            said = command("complete", "--yes", *words, source=str(other))
            assert said.code == BAD_INPUT, said.out + said.errors
            assert "this file is captured for stream other, not app. Give --stream other" in said.errors
        assert list(file.iterdump()) == before
    with psycopg.connect(migration.dsn) as postgres:
        assert postgres.execute("SELECT stream, role FROM switchback.side").fetchall() == [("app", "primary")]
    said = command("complete", "--yes")  # nothing of it was done before: the right file is completed
    assert said.code == 0, said.out + said.errors
    migration.capture.assert_ended(STOPPED, "completed")


def test_capture_of_another_stream_leaves_a_closed_file_closed(migration: Migration) -> None:
    migration.start()
    migration.wait_in_step()
    command = QuickCommand(migration.source.parent, **migration.settings)
    assert command("cutover", "--unverified").code == 0
    migration.capture.stop()
    migration.sink.stop()
    log = f"embedded:{migration.source.with_name('typo.log')}"
    migration.capture.start(stream="typo", log=log)
    migration.capture.assert_ended(BAD_INPUT, "captured for stream", "not typo")
    with closing(sqlite3.connect(migration.source)) as file, pytest.raises(sqlite3.IntegrityError, match="switchback:"):
        file.execute("UPDATE bulk SET a = 1")


def test_a_file_that_cannot_be_removed_is_told_and_the_next_run_removes_it(
    migration: Migration, monkeypatch: pytest.MonkeyPatch
) -> None:
    migration.start()
    migration.wait_in_step()
    command = QuickCommand(migration.source.parent, **migration.settings)
    assert command("cutover", "--unverified").code == 0
    settings = load_settings(None, migration.settings)
    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", _refuse)  # root may remove everything
        with pytest.raises(BadInput) as refused:
            complete(settings, keep_data=False, unfence=False)
    assert str(refused.value) == (
        f"the file cannot be removed: Permission denied ({migration.source})."
        " Make its folder writable and run `switchback complete` with the same words again"
    )
    said = command("complete", "--yes", "--no-keep-data")
    assert said.code == 0, said.out + said.errors
    assert f"removed file {migration.source}" in said.out
    assert not migration.source.exists()
    _assert_said_to_be_over(command)


def _refuse(path: Path, missing_ok: bool = False) -> None:  # noqa: FBT001, FBT002
    raise PermissionError(13, "Permission denied", str(path))
