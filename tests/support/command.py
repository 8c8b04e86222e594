"""The program ``switchback`` as the operator calls it: started, waited for, its words taken down."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]
_SECONDS = 90


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
        given = {"capture_port": "off", "sink_port": "off", **settings}
        ours = {f"SWITCHBACK_{name.upper()}": str(value) for name, value in given.items()}
        others = {name: value for name, value in os.environ.items() if not name.startswith("SWITCHBACK_")}
        self._environment = {**others, **ours, "PYTHONPATH": str(ROOT), "COLUMNS": "200"}

    def __call__(self, *arguments: str, typed: str = "", **settings: str) -> Said:
        """Run to the end."""
        process = self.start(*arguments, **settings)
        try:
            out, errors = process.communicate(typed, timeout=_SECONDS)
        except subprocess.TimeoutExpired:
            process.terminate()
            out, errors = process.communicate()
            message = f"switchback {' '.join(arguments)} did not end; it said\n{out}\n{errors}"
            raise AssertionError(message) from None
        return Said(process.returncode, out, errors)

    def start(self, *arguments: str, **settings: str) -> subprocess.Popen[str]:
        """Start and do not wait."""
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

    def stop(self, process: subprocess.Popen[str], number: int = signal.SIGTERM) -> Said:
        """Signal it and wait for its end."""
        process.send_signal(number)
        out, errors = process.communicate(timeout=_SECONDS)
        return Said(process.returncode, out, errors)
