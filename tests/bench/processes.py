"""Programs as processes: how long they took, how much processor time, how much memory at the most."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
_LOOK_SECONDS = 0.1
_TICKS = os.sysconf("SC_CLK_TCK")


class Finished(NamedTuple):
    """A program's run; ``cpu`` includes its children, ``peaks`` are MB of resident memory by child's command."""

    seconds: float
    cpu: float
    peaks: dict[str, float]
    output: str


def run(command: Sequence[str | Path], settings: Mapping[str, str] | None = None) -> Finished:
    """Run to the end; a failure is an error that shows what the program said."""
    with tempfile.TemporaryFile("w+") as output:
        began = time.perf_counter()
        process = subprocess.Popen(
            command, env=environment(settings or {}), stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=ROOT
        )
        peaks: dict[str, float] = {}
        watch = threading.Thread(target=_watch, args=(process, peaks), daemon=True)
        watch.start()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        watch.join()
        output.seek(0)
        said = output.read()
    if process.returncode:
        message = f"{Path(command[0]).name} ended with {process.returncode}:\n{said[-3000:]}"
        raise RuntimeError(message)
    return Finished(seconds, usage.ru_utime + usage.ru_stime, peaks, said)


class Program:
    """A program in the background, e.g. a daemon."""

    def __init__(self, command: Sequence[str], settings: Mapping[str, str] | None = None) -> None:
        self._said = tempfile.TemporaryFile("w+")  # noqa: SIM115  (lives as long as the process)
        self._process = subprocess.Popen(
            command,
            env=environment(settings or {}),
            stdin=subprocess.DEVNULL,
            stdout=self._said,
            stderr=self._said,
            cwd=ROOT,
        )

    @property
    def peak_mb(self) -> float:
        """The most resident memory that it had so far, in MB."""
        return peak_mb(self._process.pid)

    @property
    def cpu(self) -> float:
        """Processor seconds that it used so far."""
        words = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(words[11]) + int(words[12])) / _TICKS

    @property
    def output(self) -> str:
        self._said.seek(0)
        return self._said.read()

    def check(self) -> None:
        """Raise if it ended by itself, and badly."""
        if self._process.poll():
            message = f"a daemon ended with {self._process.returncode}:\n{self.output[-3000:]}"
            raise RuntimeError(message)

    def wait(self) -> str:
        """Wait until it ends well; what it said."""
        self._process.wait()
        self.check()
        return self.output

    def stop(self) -> None:
        """SIGTERM, and SIGKILL to one that does not listen."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@contextmanager
def running(*programs: Program) -> Iterator[None]:
    """Stop them at the end, whatever happened."""
    try:
        yield
    finally:
        for program in programs:
            program.stop()


def python(module: str, *words: str) -> list[str]:
    """The command for a module of this repository."""
    return [sys.executable, "-m", module, *words]


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """This process's environment with just these settings of Switchback's; compiled code is kept, as users have it."""
    outside = {name: value for name, value in os.environ.items() if not name.startswith("SWITCHBACK_")}
    outside.pop("PYTHONDONTWRITEBYTECODE", None)
    ours = {f"SWITCHBACK_{name.upper()}": value for name, value in settings.items()}
    return {**outside, **ours, "PYTHONPATH": str(ROOT)}


def peak_mb(pid: int) -> float:
    """The process's high-water mark of resident memory in MB; 0 where it is gone."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) / 1024
    except (FileNotFoundError, ProcessLookupError):
        pass
    return 0.0


def _watch(process: subprocess.Popen[bytes], peaks: dict[str, float]) -> None:
    """Note the high-water marks of the process's children, by the word that tells them apart."""
    while process.returncode is None:
        for pid in _children(process.pid):
            name = _name(pid)
            peaks[name] = max(peaks.get(name, 0.0), peak_mb(pid))
        time.sleep(_LOOK_SECONDS)


def _children(pid: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def _name(pid: int) -> str:
    """``capture.app`` of ``python -m capture.app``, else the program's own name."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return words[words.index("-m") + 1] if "-m" in words[:-1] else Path(words[0]).name
