"""The program ``switchback`` as the operator calls it: started, waited for, its words taken down."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from forking import Forked

ROOT = Path(__file__).parents[2]
_SECONDS = 90


class Process(Protocol):
    """A command under way."""

    @property
    def pid(self) -> int: ...
    @property
    def returncode(self) -> int | Any: ...
    def communicate(self, typed: str = "", /, timeout: float | None = None) -> tuple[str, str]: ...
    def send_signal(self, number: int, /) -> None: ...
    def terminate(self) -> None: ...


class Said(NamedTuple):
    """What a command ended with."""

    code: int
    out: str
    errors: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Command:
    """Calls the program in a folder, with the same settings each time; metrics are off."""

    def __init__(self, folder: Path, **settings: object) -> None:
        self._folder = folder
        given = {"capture_port": "off", "sink_port": "off", "topics_port": "off", **settings}
        ours = {f"SWITCHBACK_{name.upper()}": str(value) for name, value in given.items()}
        others = {name: value for name, value in os.environ.items() if not name.startswith("SWITCHBACK_")}
        self._environment = {**others, **ours, "PYTHONPATH": str(ROOT), "COLUMNS": "200"}

    def __call__(self, *arguments: str, typed: str = "", **settings: str) -> Said:
        """Run to the end."""
        process = self.begin(*arguments, typed=typed, **settings)
        try:
            out, errors = process.communicate(typed, timeout=_SECONDS)
        except subprocess.TimeoutExpired:
            process.terminate()
            out, errors = process.communicate()
            message = f"switchback {' '.join(arguments)} did not end; it said\n{out}\n{errors}"
            raise AssertionError(message) from None
        return Said(process.returncode or 0, out, errors)

    def begin(self, *arguments: str, typed: str = "", **settings: str) -> Process:  # noqa: ARG002
        """Start and do not wait; what is ``typed`` goes in by ``communicate`` too."""
        return self.start(*arguments, **settings)

    def start(self, *arguments: str, **settings: str) -> subprocess.Popen[str]:
        """Start a program of its own."""
        ours = {f"SWITCHBACK_{name.upper()}": value for name, value in settings.items()}
        return subprocess.Popen(
            [sys.executable, "-m", "operations.cli", *arguments],
            cwd=self._folder,
            env={**self._environment, **ours},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def stop(self, process: Process, number: int = signal.SIGTERM) -> Said:
        """Signal it and wait for its end."""
        process.send_signal(number)
        out, errors = process.communicate(timeout=_SECONDS)
        return Said(process.returncode or 0, out, errors)


class QuickCommand(Command):
    """The same, forked from a process that has the program in memory."""

    def begin(self, *arguments: str, typed: str = "", **settings: str) -> Forked:
        """Start and do not wait."""
        ours = {f"SWITCHBACK_{name.upper()}": value for name, value in settings.items()}
        environment = {**self._environment, **ours}
        return Forked("operations.cli", arguments, environment=environment, folder=self._folder, typed=typed)
