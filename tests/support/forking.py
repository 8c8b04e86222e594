"""Programs forked from a process that has them in memory: what ``subprocess.Popen`` is, as far as tests use it.

Importing the programs costs half a second of processor time; tests that kill and start them by the hundred have
none to spare.  How they start from nothing is shown by tests of their own.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

_SUPPORT = Path(__file__).parent
_ROOT = _SUPPORT.parents[1]


class _Zygote:
    """Starts with the first order, and ends with this process."""

    def __init__(self) -> None:
        environment = {**os.environ, "PYTHONPATH": f"{_ROOT}{os.pathsep}{_SUPPORT}"}
        self._process = subprocess.Popen(
            [sys.executable, str(_SUPPORT / "zygote.py")],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._changed = threading.Condition()
        self._pids: dict[int, int] = {}
        self._codes: dict[int, int] = {}
        self._orders = 0
        threading.Thread(target=self._listen, daemon=True).start()
        atexit.register(self._process.kill)

    def _listen(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            answer = json.loads(line)
            with self._changed:
                if "order" in answer:
                    self._codes.pop(answer["pid"], None)  # of an earlier process with that number
                    self._pids[answer["order"]] = answer["pid"]
                else:
                    self._codes[answer["pid"]] = answer["code"]
                self._changed.notify_all()

    def start(self, order: Mapping[str, object]) -> int:
        """Returns the pid."""
        assert self._process.stdin
        with self._changed:
            self._orders += 1
            number = self._orders
            self._process.stdin.write(json.dumps({**order, "order": number}).encode() + b"\n")
            self._process.stdin.flush()
            assert self._changed.wait_for(lambda: number in self._pids, 60)
            return self._pids.pop(number)

    def wait(self, pid: int, seconds: float | None) -> int | None:
        """Its exit code, None where it still runs."""
        with self._changed:
            self._changed.wait_for(lambda: pid in self._codes, seconds)
            return self._codes.get(pid)


_zygote: _Zygote | None = None
_starting = threading.Lock()


class Forked:
    """A program under way; its output goes into files."""

    def __init__(
        self,
        program: str,
        arguments: Sequence[str] = (),
        *,
        environment: Mapping[str, str],
        folder: Path,
        output: Path | None = None,
        typed: str = "",
    ) -> None:
        global _zygote  # noqa: PLW0603
        with _starting:
            _zygote = _zygote or _Zygote()
        self._zygote = _zygote
        self._files: list[Path] = []
        out = errors = output or Path()
        if output is None:
            out, errors = self._file(), self._file()
        order = {
            "program": program,
            "arguments": list(arguments),
            "environment": dict(environment),
            "folder": str(folder),
            "files": [str(self._file(typed) if typed else os.devnull), str(out), str(errors)],
        }
        self._out, self._errors = out, errors
        self.pid = self._zygote.start(order)
        self.returncode: int | None = None

    def _file(self, text: str = "") -> Path:
        descriptor, name = tempfile.mkstemp(prefix="switchback-")
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
        self._files.append(Path(name))
        return Path(name)

    def poll(self) -> int | None:
        """Its exit code, None while it runs."""
        if self.returncode is None:
            self.returncode = self._zygote.wait(self.pid, 0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code; subprocess.TimeoutExpired where it still runs."""
        if self.returncode is None:
            self.returncode = self._zygote.wait(self.pid, timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Nothing happens where it has ended."""
        if self.poll() is None:
            with suppress(ProcessLookupError):  # it ends just now
                os.kill(self.pid, number)

    @property
    def said(self) -> str:
        """Its output so far."""
        return self._out.read_text(errors="replace")

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def communicate(self, _typed: str = "", timeout: float | None = None) -> tuple[str, str]:
        """Wait for its end; its output and its errors."""
        self.wait(timeout)
        said = self._out.read_text(errors="replace"), self._errors.read_text(errors="replace")
        for file in self._files:
            file.unlink(missing_ok=True)
        self._files.clear()
        return said
