"""How the supervisor treats a daemon, tried on a small program in a daemon's place."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from operations.daemon import Daemon
from shared.settings import Settings, load_settings

PROGRAM = """
import os, signal, sys
from pathlib import Path
from shared.settings import load_settings

if not sys.stdin.readline():
    raise SystemExit(0)
settings = load_settings(None, {})
notes = settings.state_dir / "notes"
with notes.open("a") as file:
    file.write(f"{os.getpid()} {os.environ.get('SWITCHBACK_KILL_AT', '')} {settings.target.get_secret_value()}\\n")
if settings.stream.isdigit():
    sys.stderr.write("switchback-stub: last words\\n")
    raise SystemExit(int(settings.stream))
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
sys.stdin.read()
notes.with_name("orphaned").touch()
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the program ``stub.app``, which Python finds."""
    (tmp_path / "stub").mkdir()
    (tmp_path / "stub" / "app.py").write_text(PROGRAM)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path


Make = Callable[..., Daemon]


@pytest.fixture
def make(folder: Path) -> Iterator[Make]:
    """Makes daemons that are killed at the end."""
    made: list[Daemon] = []

    def making(stream: str = "app") -> Daemon:
        daemon = Daemon("stub", _settings(folder, stream), lambda _line: None)
        made.append(daemon)
        return daemon

    yield making
    for daemon in made:
        daemon.wait(0)


def _settings(folder: Path, stream: str) -> Settings:
    given = {
        "source": folder / "app.db",
        "stream": stream,
        "state_dir": folder,
        "target": "postgresql://joe:s3cret@h/d",
    }
    return load_settings(None, given)


def _notes(folder: Path) -> list[list[str]]:
    path = folder / "notes"
    return [line.split(" ") for line in path.read_text().splitlines()] if path.exists() else []


def _tend_until(daemon: Daemon, condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        daemon.tend()
        time.sleep(0.02)


def test_a_killed_daemon_is_started_again_and_a_kill_order_holds_for_the_first_start_alone(
    folder: Path, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SWITCHBACK_KILL_AT", "applied")
    daemon = make()
    daemon.start()
    _tend_until(daemon, lambda: len(_notes(folder)) == 1)
    os.kill(int(_notes(folder)[0][0]), signal.SIGKILL)
    _tend_until(daemon, lambda: len(_notes(folder)) == 2)
    assert [order for _, order, _ in _notes(folder)] == ["applied", ""]
    assert daemon.exit_code is None


@pytest.mark.parametrize("code", [2, 3])
def test_what_must_not_go_on_is_not_started_again_and_leaves_its_last_words(
    folder: Path, make: Make, code: int
) -> None:
    daemon = make(str(code))
    daemon.start()
    _tend_until(daemon, lambda: daemon.exit_code is not None)
    assert (daemon.exit_code, daemon.last_words) == (code, "last words")
    assert len(_notes(folder)) == 1


def test_a_bug_is_tried_three_times(folder: Path, make: Make) -> None:
    daemon = make("70")
    daemon.start()
    _tend_until(daemon, lambda: daemon.exit_code is not None)
    assert daemon.exit_code == 70
    assert len(_notes(folder)) == 3


def test_it_loads_and_touches_nothing_before_it_is_told_to_begin(folder: Path, make: Make) -> None:
    daemon = make()
    daemon.load()
    daemon.ask_to_stop()
    daemon.wait(30)
    assert _notes(folder) == []


def test_it_stops_when_asked(folder: Path, make: Make) -> None:
    daemon = make()
    daemon.start()
    _tend_until(daemon, lambda: _notes(folder))
    daemon.ask_to_stop()
    daemon.wait(30)
    assert not (folder / "orphaned").exists()


def test_secrets_reach_it_in_the_environment_and_not_in_its_arguments(folder: Path, make: Make) -> None:
    daemon = make()
    daemon.start()
    _tend_until(daemon, lambda: _notes(folder))
    pid, _, target = _notes(folder)[0]
    arguments = Path(f"/proc/{pid}/cmdline")
    assert target == "postgresql://joe:s3cret@h/d"
    assert not arguments.exists() or b"s3cret" not in arguments.read_bytes()
