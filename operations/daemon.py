"""One daemon as a child process: started with the very settings of its parent, watched, restarted, stopped.

It gets its settings, secrets among them, in its environment and never in its argument list, and it
ends when this process ends: it watches the pipe that is its standard input.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from shared.errors import BUG_EXIT_CODE
from shared.settings import Settings, to_environment
from shared.steps import VARIABLE as KILL_AT

DAEMONS = ("capture", "sink")
"""What a migration needs."""

_MODULES = {"topics": "sink.topics.app"}  # the others are <name>.app

_FINAL = {2, 3}  # wrong settings, and what must not simply be started again
_BUGS = {1, BUG_EXIT_CODE}  # what may pass is tried again inside: 1 is what Python ends with
_PAUSES = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
_STEADY_SECONDS = 60.0
_BUGS_IN_A_ROW = 3
_ROOT = Path(__file__).resolve().parent.parent


class Daemon:
    """Keeps the program ``switchback-<name>`` running until told otherwise."""

    def __init__(self, name: str, settings: Settings, listen: Callable[[str], None], **overrides: str) -> None:
        self.name = name
        self.exit_code: int | None = None  # set once it will not be started again
        self.last_words = ""
        self._listen = listen
        self._environment = {**os.environ, **to_environment(settings), **overrides, "PYTHONPATH": _python_path()}
        self._process: subprocess.Popen[str] | None = None
        self._started = self._due = 0.0
        self._failures = self._bugs = 0

    def load(self) -> None:
        """Let it load its programs, which takes half a second; it touches nothing before it is told to ``begin``."""
        command = [sys.executable, "-P", "-m", _MODULES.get(self.name, f"{self.name}.app"), "--supervised"]
        self._process = subprocess.Popen(
            command,
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            process_group=0,  # Ctrl-C reaches the supervisor alone, which then stops us in good order
        )
        self._started = time.monotonic()
        self._environment.pop(KILL_AT, None)  # a test's order is for the first start
        self._reader = threading.Thread(
            target=self._read, args=(self._process,), name=f"{self.name}-stderr", daemon=True
        )
        self._reader.start()

    def begin(self) -> None:
        """Let it work."""
        assert self._process is not None
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # it ended already: ``tend`` will see that
            self._process.stdin.write("\n")
            self._process.stdin.flush()

    def start(self) -> None:
        """Start it now."""
        self.load()
        self.begin()

    def tend(self) -> None:
        """Look after it: note how it ended, start it again when it is time."""
        if self.exit_code is not None:
            return
        if self._process is None:
            if time.monotonic() >= self._due:
                self.start()
            return
        code = self._process.poll()
        if code is not None:
            self._ended(code)

    def _ended(self, code: int) -> None:
        self._reader.join(1.0)
        self._process = None
        self._bugs = self._bugs + 1 if code in _BUGS else 0
        if code in _FINAL or self._bugs >= _BUGS_IN_A_ROW:
            self.exit_code = code
            return
        if time.monotonic() - self._started > _STEADY_SECONDS:
            self._failures = 0
        pause = _PAUSES[min(self._failures, len(_PAUSES) - 1)]
        self._failures += 1
        self._due = time.monotonic() + pause
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        self._listen(f"switchback: {self.name} {how}; starting it again in {pause} s")

    def ask_to_stop(self) -> None:
        """Ask it to end in good order."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()

    def wait(self, seconds: float) -> None:
        """Wait for its end; after ``seconds`` it is killed, which loses nothing."""
        if self._process is None:
            return
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(1.0)

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stderr is not None
        for line in process.stderr:
            text = line.rstrip("\n")
            if text.startswith(f"switchback-{self.name}: "):
                self.last_words = text.partition(": ")[2]
            else:
                self._listen(text)


def _python_path() -> str:
    """Where the packages are, if they are used from a checkout that is not installed."""
    given = os.environ.get("PYTHONPATH", "")
    if _ROOT.name in {"site-packages", "dist-packages"}:
        return given
    return os.pathsep.join([str(_ROOT), *([given] if given else [])])
