"""SIGTERM and SIGINT, for programs that end in good order."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress
from types import FrameType


def set_on_signals(*events: threading.Event, say: bytes = b"") -> None:
    """Let the first of the two signals set the events, and ``say`` a word on standard error; a second ends the process.

    The handler leaves the setting to a thread: it runs between any two steps of the main thread, also while that
    holds the lock inside an event that it begins to wait for, and would then wait for itself.
    """
    reading, writing = os.pipe()

    def handle(number: int, _frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        os.write(writing, b".")

    def pass_on() -> None:
        os.read(reading, 1)
        for event in events:
            event.set()
        with suppress(OSError):  # nobody need be there to hear it
            os.write(2, say)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, handle)
    threading.Thread(target=pass_on, name="signals", daemon=True).start()
