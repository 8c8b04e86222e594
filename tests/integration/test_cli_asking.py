"""Before something is removed the program asks: what an answer that is none ends with."""

from __future__ import annotations

import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from command import Command
from shared.sqlite.catalog import read_schema
from shared.sqlite.connection import connect, writing
from shared.sqlite.installation import install_within
from shared.sqlite.state import read_state


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A database that is captured."""
    path = tmp_path / "app.db"
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE person (id INTEGER PRIMARY KEY)")
    with closing(connect(path)) as db, writing(db):
        install_within(db, read_schema(db), "app")
    return path


@pytest.fixture
def switchback(tmp_path: Path, source: Path) -> Command:
    return Command(tmp_path, source=source)


def _is_captured(source: Path) -> bool:
    with closing(connect(source)) as db:
        return bool(read_state(db))


def test_ctrl_c_at_the_question_ends_as_ctrl_c_does(switchback: Command, source: Path) -> None:
    asking = switchback.start("uninstall")
    assert asking.stdout
    shown = ""
    while "[y/N]" not in shown:
        letter = asking.stdout.read(1)
        assert letter, shown
        shown += letter
    said = switchback.stop(asking, signal.SIGINT)
    assert (said.code, said.errors) == (130, "switchback: interrupted; nothing was changed\n")
    assert _is_captured(source)


def test_nobody_there_to_answer_is_a_no(switchback: Command, source: Path) -> None:
    said = switchback("uninstall", typed="")
    assert (said.code, said.errors) == (1, "switchback: nothing was changed\n")
    assert _is_captured(source)
