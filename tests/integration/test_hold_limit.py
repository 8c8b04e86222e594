"""No writer waits longer than was agreed, whatever capture waits for in the sqlite_hold."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import pytest

from capture.closing import Closing
from capture.limited import Limited, Overdue
from capture.progress import Progress
from capture.relay import Relay
from capture.sqlite.holding import SqliteHold
from daemons import wait_until
from shared.control.channel import Channel
from shared.control.records import OPERATOR, Asked
from shared.groups import Position
from shared.log.embedded import EmbeddedLog
from shared.logs import get_logger


class Stuck:
    """A relay whose log does not answer before it is told to."""

    def __init__(self) -> None:
        self.waits, self.answer = threading.Event(), threading.Event()
        self.progress = Progress()

    def publish_rest(self, _attempt: str) -> Position:
        self.waits.set()
        assert self.answer.wait(60)
        return Position(1, 1, 1)


def test_writers_go_on_in_time_though_the_log_does_not_answer(sqlite_hold: SqliteHold, tmp_path: Path) -> None:
    with closing(EmbeddedLog(tmp_path / "log.db")) as log:
        channel, relay = Channel(log.control), Stuck()
        asked = Asked(by=OPERATOR, at_ms=0, attempt="a", epoch=1, max_pause_ms=300)
        assert not channel.say(asked)
        attempt = channel.state.attempt
        assert attempt
        closing_side = Closing(sqlite_hold, channel, lambda _position: None, lambda: False, get_logger("test"))
        closed: list[Any] = []
        work = threading.Thread(
            target=lambda: closed.append(closing_side.take_part(attempt, cast("Relay", relay))), daemon=True
        )
        work.start()
        assert relay.waits.wait(60)
        with closing(sqlite3.connect(sqlite_hold._path, timeout=60)) as writer, writer:
            writer.execute("INSERT INTO t VALUES (7)")
        assert work.is_alive()
        relay.answer.set()
        wait_until("the attempt is given up", lambda: closed)
        assert closed == [False]
        assert channel.state.last
        assert channel.state.last.reason == "writers had waited for 0.3 s"
        assert sqlite_hold.standing().role == "primary"


def test_what_comes_too_late_finds_nothing_held(sqlite_hold: SqliteHold) -> None:
    assert sqlite_hold.hold(1.0) == ""
    with Limited(sqlite_hold, 0.0) as limited:
        wait_until("its time is over", lambda: _is_over(limited))
        with pytest.raises(Overdue), limited.in_time() as held:
            held.fence("a", 1, Position(1, 1, 1), Progress(), 1.0)
    assert sqlite_hold.standing().role == "primary"


def _is_over(limited: Limited) -> bool:
    try:
        limited.check()
    except Overdue:
        return True
    return False
