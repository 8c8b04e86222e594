"""What wakes capture up on a quiet database; a machine that has no watches left is polled alone."""

from __future__ import annotations

import ctypes
import errno
from contextlib import closing
from itertools import count
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from watchdog.observers import inotify_c

from capture import wake
from capture.wake import Waker
from shared.logs import get_logger


@pytest.mark.parametrize(
    ("call", "number"), [("inotify_init", errno.EMFILE), ("inotify_add_watch", errno.ENOSPC)], ids=["EMFILE", "ENOSPC"]
)
def test_without_watches_left_it_polls_alone_and_says_once_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    def refuse(*_args: object) -> int:
        ctypes.set_errno(number)
        return -1

    monkeypatch.setattr(inotify_c, call, refuse)
    monkeypatch.setattr(wake, "_QUIET_SECONDS", -1.0)
    looks = count()
    with capture_logs() as said, closing(Waker(tmp_path / "app.db", lambda: next(looks), get_logger("test"))) as waker:
        waker.wait(0.0)
        waker.wait(0.0)
    assert next(looks) == 3
    assert [line["log_level"] for line in said] == ["warning"]
    assert "fs.inotify.max_user_instances" in said[0]["remedy"]
    assert "fs.inotify.max_user_watches" in said[0]["remedy"]
