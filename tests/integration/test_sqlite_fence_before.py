"""A file that the version before has closed, with triggers that refuse always, goes through an upgrade."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from capture.sqlite.opening import open_source
from replay import Captured
from replicas import Follower, close_as_before, copy_closed, note_shape
from shared.errors import BadInput, LeaseLost, Retry
from shared.logs import get_logger
from shared.settings import Settings
from shared.sqlite import fence
from shared.sqlite.connection import connect, writing
from shared.sqlite.installation import install_within, uninstall
from shared.sqlite.state import write_state

DDL = """
CREATE TABLE person (id INTEGER PRIMARY KEY, name TEXT UNIQUE);
CREATE TABLE "odd ""n"" ame" (k PRIMARY KEY NOT NULL);
INSERT INTO person VALUES (1, 'a'), (2, 'b');
"""
UPDATE = "UPDATE person SET name = 'z' WHERE id = 1"


@pytest.fixture
def captured(capture: Callable[[str], Captured]) -> Captured:
    return capture(DDL)


def assert_closed(path: Path) -> None:
    with closing(sqlite3.connect(path)) as app, pytest.raises(sqlite3.IntegrityError, match=r"^switchback:"):
        app.execute(UPDATE)


@contextmanager
def started(path: Path) -> Iterator[None]:
    """Capture, with that file as its source."""
    with open_source(Settings(source=path, stream="s"), get_logger("test")):
        yield


def test_the_sink_makes_it_anew_and_goes_on_and_opens_it(captured: Captured, tmp_path: Path) -> None:
    path = copy_closed(captured.path, tmp_path / "replica.db", captured.schema)
    close_as_before(path, captured.schema)
    follower = Follower(captured.app, path, captured.schema)
    captured.run("UPDATE person SET name = 'c' WHERE id = 2")
    follower.follow()
    assert follower.differences() == []
    assert_closed(path)
    with closing(connect(path, readonly=True)) as db:
        assert fence.is_up(db)
    follower.replica.prepare("next", 2, {})
    follower.replica.open_side("next", 2, {})
    follower.close()
    with closing(sqlite3.connect(path)) as app:
        app.execute(UPDATE)


def test_to_make_the_triggers_of_today_leaves_it_closed(captured: Captured) -> None:
    close_as_before(captured.path, captured.schema)
    with writing(captured.ours):
        install_within(captured.ours, captured.schema, "s")
    assert_closed(captured.path)


def test_to_take_the_fence_down_opens_it(captured: Captured) -> None:
    close_as_before(captured.path, captured.schema)
    with writing(captured.ours):
        fence.take_down(captured.ours)
    captured.app.execute(UPDATE)


def test_complete_leaves_it_closed(captured: Captured) -> None:
    close_as_before(captured.path, captured.schema)
    uninstall(captured.ours, keep_closed=True)
    assert_closed(captured.path)


def test_capture_removes_the_row_where_the_version_before_took_only_the_triggers_away(captured: Captured) -> None:
    with started(captured.path), writing(captured.ours):
        fence.put_up(captured.ours, captured.schema.by_name)
        for _, name in captured.ours.execute("SELECT rowid, name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            if name.startswith(fence.PREFIX):
                captured.ours.execute(f'DROP TRIGGER "{name}"')
    note_shape(captured.path)
    with started(captured.path):
        captured.app.execute(UPDATE)


def test_capture_does_not_begin_on_a_file_that_was_closed_just_now(captured: Captured) -> None:
    with writing(captured.ours):
        fence.put_up(captured.ours, captured.schema.by_name)
        write_state(captured.ours, role="replica")
    with pytest.raises(Retry, match="closed just now"), started(captured.path):
        pass
    assert_closed(captured.path)


def test_a_new_stream_is_refused_on_a_file_that_complete_has_left_closed(captured: Captured) -> None:
    with writing(captured.ours):
        fence.put_up(captured.ours, captured.schema.by_name)
    uninstall(captured.ours, keep_closed=True)
    with pytest.raises(BadInput, match="closed since `switchback complete`"), started(captured.path):
        pass
    assert_closed(captured.path)


def test_a_sink_that_wakes_up_when_another_one_has_opened_the_file_is_told_so(
    captured: Captured, tmp_path: Path
) -> None:
    path = copy_closed(captured.path, tmp_path / "replica.db", captured.schema)
    asleep = Follower(captured.app, path, captured.schema)
    other = Follower(captured.app, path, captured.schema)
    other.replica.prepare("next", 2, {})
    other.replica.open_side("next", 2, {})
    captured.run(UPDATE)
    with pytest.raises(LeaseLost, match="another sink has taken over"):
        asleep.follow()
    for follower in (asleep, other):
        follower.close()
