"""Fixtures around real SQLite files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from capture.sqlite.holding import SqliteHold
from replay import Captured

Capture = Callable[[str], Captured]


@pytest.fixture
def capture(tmp_path: Path) -> Iterator[Capture]:
    """Makes a database from DDL and installs capture in it."""
    made: list[Captured] = []

    def make(ddl: str) -> Captured:
        made.append(Captured(tmp_path / f"source{len(made)}.db", ddl))
        return made[-1]

    yield make
    for captured in made:
        captured.app.close()
        captured.ours.close()


@pytest.fixture
def sqlite_hold(capture: Capture) -> Iterator[SqliteHold]:
    """Of a database with a table ``t``; let go at the end."""
    captured = capture("CREATE TABLE t (id INTEGER PRIMARY KEY)")
    hold = SqliteHold(captured.path, "s")
    hold.schema = captured.schema
    yield hold
    hold.let_go()
