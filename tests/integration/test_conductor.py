"""What the operator's program makes of an attempt that ends while it compares."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from operations.cutover.conductor import Conductor, Wish
from operations.verification.findings import Finding
from shared.control.channel import Channel
from shared.control.fold import State
from shared.control.records import (
    CAPTURE,
    SINK,
    Aborted,
    Asked,
    Drained,
    Fenced,
    Held,
    LetGo,
    Opened,
    Opening,
    Prepared,
    Record,
    Step,
    Verified,
)
from shared.groups import Position
from shared.log.embedded import EmbeddedLog

_FOUND = [Finding("differs", "person", "1", (1,))]


class Daemons:
    """What the daemons say in the stream, and what is seen of both sides meanwhile.

    ``let_go``: capture gives up in the middle of that; ``found``: what differs then.
    """

    def __init__(self, channel: Channel, *, let_go: bool = False, found: Sequence[Finding] = ()) -> None:
        self._channel = channel
        self._let_go = let_go
        self._found = found
        self.looked_at = 1

    def round(self, _seconds: float) -> None:
        if attempt := self._channel.open().attempt:
            self._channel.say(Held(by=CAPTURE, at_ms=1, attempt=attempt.id, lease=1, number=1, offset=1))

    def reach(self, _upto: Position, _deadline: float, _over: Callable[[], bool]) -> bool:
        return True

    def finish(self, _upto: Position, _deadline: float) -> Sequence[Finding]:
        if self._let_go:
            self.give_up("writers had waited for 1 s")
        return self._found

    def say(self, *steps: type[Step]) -> None:
        attempt = self._channel.open().attempt
        assert attempt
        for step in steps:
            assert not self._channel.say(step(by=SINK, at_ms=2, attempt=attempt.id))  # type: ignore[arg-type]

    def give_up(self, reason: str) -> None:
        attempt = self._channel.open().attempt
        assert attempt
        if not attempt.aborted:
            self._channel.say(Aborted(by=CAPTURE, at_ms=2, attempt=attempt.id, reason=reason))
        self._channel.say(LetGo(by=CAPTURE, at_ms=3, attempt=attempt.id))

    def heard(self, _state: object) -> None:
        """As capture answers an abort."""
        attempt = self._channel.open().attempt
        if attempt and attempt.aborted:
            self.give_up("")


class Late(Channel):
    """Reads what it has asked when others have answered already."""

    answer: Callable[[], None]

    def mention(self, record: Record) -> int:
        offset = super().mention(record)
        if isinstance(record, Asked):
            self.answer()
        return offset


@pytest.fixture
def channels(tmp_path: Path) -> Iterator[tuple[Channel, Channel]]:
    with closing(EmbeddedLog(tmp_path / "log.db")) as one, closing(EmbeddedLog(tmp_path / "log.db")) as other:
        yield Channel(one.control), Channel(other.control)


def test_what_differs_while_writers_are_held_ends_the_attempt(channels: tuple[Channel, Channel]) -> None:
    daemons = Daemons(channels[1], found=_FOUND)
    conductor = Conductor(channels[0], daemons, daemons.heard)
    ended = conductor.carry_out(Wish(1, 5.0))
    assert not ended.opened
    assert ended.reason.startswith("1 difference between")
    assert conductor.findings == _FOUND


def test_what_differs_because_writers_had_gone_on_is_no_difference(channels: tuple[Channel, Channel]) -> None:
    """Capture's time is over a moment before the operator's program knows of it."""
    daemons = Daemons(channels[1], let_go=True, found=_FOUND)
    conductor = Conductor(channels[0], daemons, daemons.heard)
    ended = conductor.carry_out(Wish(1, 5.0))
    assert ended.reason == "writers had waited for 1 s"
    assert not conductor.findings


def test_ctrl_c_before_the_fence_gives_it_up_also_once_all_is_compared(channels: tuple[Channel, Channel]) -> None:
    """Else capture and sink would go on to the end, and nobody would tell the application."""
    daemons = Daemons(channels[1])

    def interrupted(state: State) -> None:
        if state.attempt and state.attempt.has(Verified):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Conductor(channels[0], daemons, interrupted).carry_out(Wish(1, 5.0))
    attempt = channels[1].open().attempt
    assert attempt
    assert attempt.aborted


def test_ctrl_c_behind_the_fence_lets_it_go_on(channels: tuple[Channel, Channel]) -> None:
    daemons = Daemons(channels[1])

    def interrupted(state: State) -> None:
        if state.attempt and state.attempt.has(Fenced):
            raise KeyboardInterrupt
        if state.attempt and state.attempt.has(Verified):
            daemons.say(Drained, Prepared, Fenced)

    with pytest.raises(KeyboardInterrupt):
        Conductor(channels[0], daemons, interrupted).carry_out(Wish(1, 5.0))
    daemons.say(Opening, Opened)
    assert channels[1].state.epoch == 1


def test_an_attempt_that_a_rival_has_ended_before_it_is_read_is_told_as_given_up(
    channels: tuple[Channel, Channel], tmp_path: Path
) -> None:
    daemons = Daemons(channels[1])
    with closing(EmbeddedLog(tmp_path / "log.db")) as log:
        late = Late(log.control)
        late.answer = lambda: daemons.give_up("a rival")
        ended = Conductor(late, Daemons(late), daemons.heard).carry_out(Wish(1, 5.0))
    assert (ended.opened, ended.reason) == (False, "a rival")
