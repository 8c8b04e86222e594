"""Migrations for a test: both daemons as programs, killed at the end however the test ends."""

from __future__ import annotations

import sqlite3
import subprocess
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Protocol

import pytest

from command import QuickCommand
from daemons import Migration
from traffic import make_database

STOPPED = 3
BAD_INPUT = 2


class Begin(Protocol):
    """Makes a migration of a small bank, or of ``source``; nothing is started yet."""

    def __call__(
        self, dsn: str, log: str = "", *, source: Path | None = None, wal: bool = True, bulk: int = 3_000, **more: str
    ) -> Migration: ...


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Begin]:
    made: list[Migration] = []

    def make(
        dsn: str, log: str = "", *, source: Path | None = None, wal: bool = True, bulk: int = 3_000, **more: str
    ) -> Migration:
        source = source or make_database(tmp_path / "app.db", bulk=bulk, wal=wal)
        own = {"stream": f"app-{uuid.uuid4().hex[:8]}"} if log else {}  # tests share a broker
        settings = {"chunk_rows": "200", "prune_seconds": "0.2", **own, **more}
        made.append(Migration(source, dsn, log, folder=tmp_path, **settings))
        return made[-1]

    yield make
    for migration in made:
        migration.kill()


@pytest.fixture
def migration(begin: Begin, postgres_dsn: str) -> Migration:
    return begin(postgres_dsn)


CutOver = Callable[[str], Migration]


@pytest.fixture
def cut_over(begin: Begin, postgres_dsn: str, tmp_path: Path) -> CutOver:
    """Has the tables and rows of a script moved: PostgreSQL is the primary, both daemons run."""

    def make(script: str) -> Migration:
        path = tmp_path / "app.db"
        with closing(sqlite3.connect(path)) as file:
            file.execute("PRAGMA journal_mode = WAL")
            file.executescript(script)
        migration = begin(postgres_dsn, source=path)
        migration.start()
        migration.wait_in_step()
        said = QuickCommand(tmp_path, **migration.settings)("cutover", "--unverified")
        assert said.code == 0, said.out + said.errors
        return migration

    return make


Disk = Callable[..., Path]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """``disk()`` mounts a small disk, ``disk("ro")`` and the like mount it anew with other options."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def mount(options: str = "size=3m") -> Path:
        first = not folder.is_mount()
        command = ["mount", "-t", "tmpfs", "-o", options if first else f"remount,{options}", "switchback", str(folder)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            pytest.skip("there is no mount program")
        if done.returncode and first:
            pytest.skip(f"this user may not mount a small disk: {done.stderr.strip()}")
        assert done.returncode == 0, done.stderr
        return folder

    yield mount
    if folder.is_mount():
        subprocess.run(["umount", "-l", str(folder)], check=False)
