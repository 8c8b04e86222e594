"""The two daemons as the user runs them: processes of their own, with settings in the environment."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

from forking import Forked
from shared.control.channel import Channel
from shared.control.fold import State
from shared.errors import Retry
from shared.log.opening import open_log
from shared.postgres.connection import connect
from shared.postgres.ledger import Ledger, read_ledger
from shared.sqlite.connection import connect as connect_sqlite
from stopping import holds_locks, is_stopped

PATIENCE = 120.0


def wait_until(what: str, condition: Callable[[], object], seconds: float = PATIENCE) -> None:
    """Wait for something to become true; fail with its name where it does not."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            message = f"waited {seconds:.0f} s in vain until {what}"
            raise AssertionError(message)
        time.sleep(0.02)


class Daemon:
    """One program; it can be killed or frozen at a named step, and started again."""

    def __init__(self, name: str, settings: dict[str, str], folder: Path) -> None:
        self._program = "sink.topics.app" if name == "topics" else f"{name}.app"
        self._settings = {f"SWITCHBACK_{key.upper()}": value for key, value in settings.items()}
        self._log = folder / f"{name}.txt"
        self._process: Forked | None = None

    def start(self, kill_at: str = "", *, freeze_at: str = "", **settings: str) -> None:
        more = {f"SWITCHBACK_{key.upper()}": value for key, value in settings.items()}
        outside = {name: value for name, value in os.environ.items() if not name.startswith("SWITCHBACK_")}
        order = f"{freeze_at}:1:STOP" if freeze_at else kill_at
        environment = {**outside, **self._settings, **more, "SWITCHBACK_KILL_AT": order}
        self._process = Forked(self._program, environment=environment, folder=Path.cwd(), output=self._log)

    @property
    def pid(self) -> int:
        assert self._process
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def wait(self, seconds: float = PATIENCE) -> int:
        """Its exit code, once it ended."""
        assert self._process
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            message = f"still running after {seconds:.0f} s; it said:\n{self.output[-3000:]}"
            raise AssertionError(message) from None

    def kill(self) -> None:
        if self.running and self._process:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()

    def stop(self) -> int:
        """SIGTERM, and its exit code."""
        if self.running and self._process:
            self._process.send_signal(signal.SIGTERM)
        return self.wait()

    def freeze(self) -> None:
        """SIGSTOP, but never while it has SQLite's write lock on a file: nobody else would get it any more."""
        assert self._process
        deadline = time.monotonic() + PATIENCE
        while True:
            self._process.send_signal(signal.SIGSTOP)
            wait_until("it stands still", lambda: not self.running or is_stopped(self.pid))
            if not holds_locks(self.pid):
                return
            self._process.send_signal(signal.SIGCONT)
            assert time.monotonic() < deadline, "it always has a lock"

    @property
    def stands_still(self) -> bool:
        """Whether it is frozen, as it was ordered to or by ``freeze``."""
        return self.running and is_stopped(self.pid)

    def thaw(self) -> None:
        """Let it go on."""
        assert self._process
        self._process.send_signal(signal.SIGCONT)

    def assert_ended(self, code: int, *words: str) -> None:
        """It ended by itself; its last line, and no traceback, says why."""
        assert self.wait() == code, self.output[-2000:]
        last = self.output.strip().splitlines()[-1]
        assert all(word in last for word in words), last
        assert "Traceback" not in self.output

    def says(self, *words: str) -> list[str]:
        """The lines with all of these words."""
        return [line for line in self.output.splitlines() if all(word in line for word in words)]

    @property
    def output(self) -> str:
        return self._log.read_text(errors="replace") if self._log.exists() else ""


class Migration:
    """A source, a log, a target, and the daemons between them."""

    def __init__(self, source: Path, dsn: str, log: str = "", *, folder: Path | None = None, **settings: str) -> None:
        self.source, self.dsn = source, dsn
        self.stream = settings.get("stream", source.stem)
        common = {
            "source": str(source),
            "target": dsn,
            "stream": self.stream,
            "log": log or f"embedded:{source.with_suffix('.log')}",
            "capture_port": "off",
            "sink_port": "off",
            "topics_port": "off",
            **settings,
        }
        self.settings = common
        self.capture = Daemon("capture", common, folder or source.parent)
        self.sink = Daemon("sink", common, folder or source.parent)

    def start(self) -> None:
        self.capture.start()
        self.sink.start()

    def stop(self) -> None:
        self.capture.stop()
        self.sink.stop()

    def kill(self) -> None:
        self.capture.kill()
        self.sink.kill()

    def state(self) -> State:
        """What the control stream says; a broker that just comes back, or a busy log, is asked again."""
        found: list[State] = []

        def read() -> bool:
            with suppress(Retry), closing(open_log(self.settings["log"], self.stream)) as log:
                found.append(Channel(log.control).open())
            return bool(found)

        wait_until("the control stream can be read", read)
        return found[0]

    def ledger(self) -> Ledger | None:
        with closing(connect(self.dsn, application_name="test")) as db:
            return read_ledger(db, self.stream)

    def source_seq(self) -> int:
        with closing(connect_sqlite(self.source, busy_seconds=30)) as db:
            return int(db.execute("SELECT coalesce(max(seq), 0) FROM _switchback_log").fetchone()[0])

    def in_step(self) -> bool:
        """The snapshot is whole and every change there is has been applied."""
        ledger = self.ledger()
        return ledger is not None and ledger.copied and ledger.seq == self.source_seq()

    def wait_in_step(self, seconds: float = PATIENCE) -> None:
        """Until the snapshot is whole, and what was committed by then is applied: an application goes on writing.

        It may take as long as it takes on a busy machine, but never ``seconds`` without a group that was applied.
        """
        goal: int | None = None
        applied, deadline = 0, time.monotonic() + seconds
        while True:
            assert self.capture.running, f"capture ended; it said:\n{self.capture.output[-3000:]}"
            assert self.sink.running, f"the sink ended; it said:\n{self.sink.output[-3000:]}"
            ledger = self.ledger()
            if ledger and ledger.copied:
                goal = self.source_seq() if goal is None else goal
                if ledger.seq >= goal:
                    return
            if ledger and ledger.position.number > applied:
                applied, deadline = ledger.position.number, time.monotonic() + seconds
            said = f"capture:\n{self.capture.output[-2000:]}\nsink:\n{self.sink.output[-2000:]}"
            assert time.monotonic() < deadline, f"{seconds:.0f} s without a group: {ledger}, {goal} wanted\n{said}"
            time.sleep(0.02)
