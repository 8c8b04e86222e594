"""SIGTERM and SIGINT, for programs that end in good order."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress
from types import FrameType


def set_on_signals(*events: threading.Event, say: bytes = b"") -> None:
    """Let the first of the two signals set the events, and ``say`` a word on standard error; a second ends the process.

    A thread does the setting, woken through ``signal.set_wakeup_fd`` the moment the signal comes.  A Python handler is
    too late and in the wrong place for it: it runs between two steps of the main thread, not at all when the signal
    came just before that thread began to wait, and otherwise maybe while that holds the lock inside the very event.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)

    def handle(number: int, _frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)

    def pass_on() -> None:
        os.read(reading, 1)
        for event in events:
            event.set()
        with suppress(OSError):  # nobody need be there to hear it
            os.write(2, say)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, handle)
    threading.Thread(target=pass_on, name="signals", daemon=True).start()
