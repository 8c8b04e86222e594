"""The commands about a change of primary where no daemon runs: half-way, before a log is there, after the end."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from command import QuickCommand
from shared.control.channel import Channel
from shared.control.records import CAPTURE, OPERATOR, SINK, Asked, Drained, Fenced, Held, Opening, Prepared, Verified
from shared.log.embedded import EmbeddedLog
from shared.presence import completed_path

_UP_TO_OPENING = (
    Asked(by=OPERATOR, at_ms=0, attempt="a", epoch=1, max_pause_ms=5_000, who="ada@host"),
    Held(by=CAPTURE, at_ms=1, attempt="a", since_ms=1, lease=1, number=7, offset=9),
    Drained(by=SINK, at_ms=2, attempt="a"),
    Verified(by=OPERATOR, at_ms=3, attempt="a"),
    Prepared(by=SINK, at_ms=4, attempt="a"),
    Fenced(by=CAPTURE, at_ms=5, attempt="a"),
    Opening(by=SINK, at_ms=6, attempt="a"),
)
_ABOUT_A_LOG = (
    ("cutover",),
    ("cutover", "--dry-run"),
    ("rehearse",),
    ("rollback",),
    ("abort",),
    ("resume",),
    ("complete", "--yes"),
    ("log", "show"),
)


def _command(folder: Path) -> QuickCommand:
    return QuickCommand(folder, source=folder / "app.db", target="postgresql://joe@127.0.0.1:1/app")


def test_once_the_new_primary_is_being_opened_abort_refuses_and_status_names_resume_alone(tmp_path: Path) -> None:
    path = tmp_path / "app.log.db"
    with closing(EmbeddedLog(path)) as log:
        channel = Channel(log.control)
        assert not any(channel.say(record) for record in _UP_TO_OPENING)
    command = QuickCommand(tmp_path, source=tmp_path / "app.db", log=f"embedded:{path}")
    said = command("abort")
    assert said.code == 2
    assert "it can only go forward. Run `switchback resume`" in said.errors
    summary = command("status", "--json").json["summary"]
    assert "switchback resume" in summary
    assert "abort" not in summary


def test_abort_without_capture_does_not_say_that_anything_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "app.log.db"
    with closing(EmbeddedLog(path)) as log:
        assert not Channel(log.control).say(_UP_TO_OPENING[0])
    said = QuickCommand(tmp_path, source=tmp_path / "app.db", log=f"embedded:{path}")("abort", "--wait", "0.1")
    assert said.code == 3
    assert "capture does not answer" in said.errors
    assert "writes" not in said.errors.replace("lets the writers go", "")


@pytest.mark.parametrize("words", _ABOUT_A_LOG, ids=" ".join)
def test_where_no_log_exists_one_line_says_so_and_none_is_made(tmp_path: Path, words: tuple[str, ...]) -> None:
    (tmp_path / "app.db").touch()
    before = sorted(tmp_path.rglob("*"))
    said = _command(tmp_path)(*words)
    assert said.code == 2, said
    assert said.errors.count("switchback: ") == 1, said.errors
    assert f"there is no log yet (embedded:{tmp_path}/.switchback/app.log.db)" in said.errors
    assert "`switchback run` makes it; see --stream and --log" in said.errors
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("words", [*_ABOUT_A_LOG, ("verify",)], ids=" ".join)
def test_where_the_migration_was_completed_that_is_said_instead(tmp_path: Path, words: tuple[str, ...]) -> None:
    note = completed_path(tmp_path / ".switchback", "app")
    note.parent.mkdir()
    note.touch()
    said = _command(tmp_path)(*words)
    assert said.code == 2, said
    assert "switchback: the migration is completed since 20" in said.errors, said.errors
    assert "PostgreSQL is the primary (stream app)" in said.errors


def test_status_of_a_completed_migration_says_since_when_and_who_is_primary(tmp_path: Path) -> None:
    note = completed_path(tmp_path / ".switchback", "app")
    note.parent.mkdir()
    note.touch()
    said = _command(tmp_path)("status")
    assert said.code == 0, said
    assert said.out.startswith("app: completed - the migration is over since 20")
    assert "PostgreSQL is the primary" in said.out
    assert said.out.count("\n") == 1


@pytest.mark.parametrize("words", [("check",), ("cutover",), ("cutover", "--dry-run")], ids=" ".join)
def test_a_mistyped_source_is_named(tmp_path: Path, words: tuple[str, ...]) -> None:
    said = _command(tmp_path)(*words, "--source", str(tmp_path / "nope.db"))
    assert said.code == 2, said
    assert str(tmp_path / "nope.db") in said.out + said.errors
    assert not list(tmp_path.iterdir())
