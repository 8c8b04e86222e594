"""A run that is cut off has said by then what failed and what was under way.

A failure is printed when it happens, not only at the end, and so is a test that takes minutes.  One that even its
timeout cannot end (it waits in a C function, or its cleaning up hangs) is ended with its worker by
``faulthandler_timeout``, after the stack of every thread.

A test whose run is made by chance has said what it did, too, whether it passed or failed: see ``say``.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

LONG_SECONDS = 150.0
_LINES = 60
_SAID = "said"


class Progress:
    """Lives where the output is: in the controller, or in the only process there is."""

    def __init__(self, config: pytest.Config) -> None:
        self._plugins = config.pluginmanager
        self._began = time.monotonic()
        self._under_way: dict[str, float] = {}
        self._done = 0
        self._ended = threading.Event()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self) -> Iterator[None]:
        """Look on while the tests run."""
        threading.Thread(target=self._look, daemon=True).start()
        try:
            return (yield)
        finally:
            self._ended.set()

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """A test begins."""
        self._under_way[nodeid] = time.monotonic()

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """A test has ended, however it did."""
        self._under_way.pop(nodeid, None)
        self._done += 1

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Its outcome."""
        if report.failed:
            text = report.longreprtext.splitlines()
            self._say("\n".join([f"FAILED in {report.when}: {report.nodeid}", *text[-_LINES:]]))
        said = [str(text) for name, text in report.user_properties if name == _SAID]
        if said and report.when == "call":
            self._say(f"{report.nodeid}: {'; '.join(said)}")

    def _look(self) -> None:
        while not self._ended.wait(LONG_SECONDS / 5):
            now = time.monotonic()
            for nodeid, began in list(self._under_way.items()):
                if now - began > LONG_SECONDS:
                    self._say(f"under way for {now - began:.0f} s: {nodeid}")

    def _say(self, text: str) -> None:
        terminal: pytest.TerminalReporter | None = self._plugins.get_plugin("terminalreporter")
        if terminal:
            minutes = (time.monotonic() - self._began) / 60
            terminal.write_line(f"\n[{minutes:.1f} min, {self._done} done] {text}")


@pytest.fixture
def say(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """What is given to it is printed at the end of the test, also of one that passed in another process."""
    return lambda text: record_property(_SAID, text)


def pytest_configure(config: pytest.Config) -> None:
    """Only one process of the run speaks."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Progress(config), "switchback-progress")
