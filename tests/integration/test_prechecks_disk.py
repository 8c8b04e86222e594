"""Before a switch: where the SQLite file lies there is no room, or nobody may write."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from captured import Captured
from fix_migration import Disk
from prechecking import BACK, FORWARD, codes, look, settings_of, well
from shared.control.fold import State

SCRIPT = "CREATE TABLE t (id INTEGER PRIMARY KEY);"
SMALL, ROOMY = "size=3m", "size=200m"


def test_a_disk_of_the_source_that_is_almost_full_refuses(tmp_path: Path, postgres_dsn: str, disk: Disk) -> None:
    source = disk(SMALL) / "app.db"
    with closing(sqlite3.connect(source)) as db:
        db.executescript(SCRIPT)
    settings = settings_of(source, postgres_dsn, log=f"embedded:{tmp_path / 'log.db'}")
    [finding] = look("disk", settings)
    assert codes([finding]) == [("refuse", "disk")]
    assert finding.where == str(source.parent)
    assert finding.what.endswith("MB are free")
    disk(ROOMY)
    assert look("disk", settings) == []


def test_a_disk_of_the_log_that_is_almost_full_refuses(tmp_path: Path, postgres_dsn: str, disk: Disk) -> None:
    log = disk(SMALL) / "log.db"
    settings = settings_of(tmp_path / "app.db", postgres_dsn, log=f"embedded:{log}")
    [finding] = look("disk", settings)
    assert codes([finding]) == [("refuse", "disk")]
    assert finding.where == str(log.parent)
    disk(ROOMY)
    assert look("disk", settings) == []


@pytest.mark.parametrize("state", [FORWARD, BACK], ids=["forward", "back"])
@pytest.mark.parametrize("part", ["file", "folder"])
def test_a_file_that_cannot_be_written_or_whose_folder_cannot_refuses(
    tmp_path: Path, postgres_dsn: str, part: str, state: State
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    Captured(folder, postgres_dsn, SCRIPT).close()
    path = folder / "app.db"
    settings = settings_of(path, postgres_dsn, log=f"embedded:{tmp_path / 'log.db'}")
    with _read_only(path) if part == "file" else _read_only(folder, but=path):
        assert os.access(path, os.W_OK) == (part == "folder")
        [finding] = look("way back", settings, state)
        assert well("way back", settings, state) == []
    assert codes([finding]) == [("refuse", "read-only")]
    assert finding.where == str(path)
    assert look("way back", settings, state) == []
    assert well("way back", settings, state) == ["triggers can be made in PostgreSQL, and SQLite's file can be written"]


@contextmanager
def _read_only(path: Path, *, but: Path | None = None) -> Iterator[None]:
    """Nobody may write there save to the file ``but``; root is kept from it by a mount alone."""
    with ExitStack() as stack:
        if os.geteuid():
            mode = path.stat().st_mode
            stack.callback(path.chmod, mode)
            path.chmod(mode & ~0o222)
        else:
            for place in filter(None, (path, but)):
                _mount("--bind", str(place), str(place))
                stack.callback(subprocess.run, ["umount", "-l", str(place)], check=True)
            _mount("-o", "remount,bind,ro", str(path))
        yield


def _mount(*words: str) -> None:
    try:
        subprocess.run(["mount", *words], capture_output=True, text=True, check=True)
    except FileNotFoundError:
        pytest.skip("there is no mount program")
    except subprocess.CalledProcessError as error:
        pytest.skip(f"this root may not mount: {error.stderr.strip()}")
