"""A daemon's note and its lock: who looks at them, and for however long, is not taken for a daemon."""

from __future__ import annotations

import fcntl
import threading
from pathlib import Path

from shared.presence import Notebook, Presence, is_running, note_path, read_presence

STREAM = "app"


def _notebook(folder: Path) -> Notebook:
    return Notebook(folder, Presence.begin("capture", STREAM))


def test_a_daemon_that_starts_while_somebody_looks_is_the_first_one_all_the_same(tmp_path: Path) -> None:
    """The looker's processor is taken from it for longer than a look lasts, as happens on a busy machine."""
    with note_path(tmp_path, STREAM, "capture").with_suffix(".running").open("wb") as looker:
        fcntl.flock(looker.fileno(), fcntl.LOCK_SH)
        ending = threading.Timer(0.5, fcntl.flock, (looker.fileno(), fcntl.LOCK_UN))
        ending.start()
        with _notebook(tmp_path):
            assert is_running(tmp_path, STREAM, "capture")
            assert read_presence(tmp_path, STREAM, "capture")
        ending.join()
    assert not is_running(tmp_path, STREAM, "capture")


def test_a_second_daemon_goes_on_without_a_note_at_once(tmp_path: Path) -> None:
    with _notebook(tmp_path), _notebook(tmp_path) as second:
        second.note.end(3, "of the second one")
        second.write()
        note = read_presence(tmp_path, STREAM, "capture")
        assert note
        assert note.exit_code is None
        assert is_running(tmp_path, STREAM, "capture")


def test_of_many_daemons_that_start_at_once_one_is_the_first(tmp_path: Path) -> None:
    together, first = threading.Barrier(8), []

    def start() -> None:
        together.wait()
        with _notebook(tmp_path) as notebook:
            first.append(notebook._first)
            together.wait()

    starting = [threading.Thread(target=start, daemon=True) for _ in range(8)]
    for one in starting:
        one.start()
    for one in starting:
        one.join()
    assert sorted(first) == [False] * 7 + [True]
