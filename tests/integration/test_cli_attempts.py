"""``abort`` and ``resume`` over a control stream that says how far an attempt has come; no daemon runs."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from command import QuickCommand
from shared.control.channel import Channel
from shared.control.records import CAPTURE, OPERATOR, SINK, Asked, Drained, Fenced, Held, Opening, Prepared, Verified
from shared.log.embedded import EmbeddedLog

_UP_TO_OPENING = (
    Asked(by=OPERATOR, at_ms=0, attempt="a", epoch=1, max_pause_ms=5_000, who="ada@host"),
    Held(by=CAPTURE, at_ms=1, attempt="a", since_ms=1, lease=1, number=7, offset=9),
    Drained(by=SINK, at_ms=2, attempt="a"),
    Verified(by=OPERATOR, at_ms=3, attempt="a"),
    Prepared(by=SINK, at_ms=4, attempt="a"),
    Fenced(by=CAPTURE, at_ms=5, attempt="a"),
    Opening(by=SINK, at_ms=6, attempt="a"),
)


def test_once_the_new_primary_is_being_opened_abort_refuses_and_status_names_resume_alone(tmp_path: Path) -> None:
    path = tmp_path / "app.log.db"
    with closing(EmbeddedLog(path)) as log:
        channel = Channel(log.control)
        assert not any(channel.say(record) for record in _UP_TO_OPENING)
    command = QuickCommand(tmp_path, source=tmp_path / "app.db", log=f"embedded:{path}")
    said = command("abort")
    assert said.code == 2
    assert "it can only go forward. Run `switchback resume`" in said.errors
    summary = command("status", "--json").json["summary"]
    assert "switchback resume" in summary
    assert "abort" not in summary
