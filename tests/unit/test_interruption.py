"""What Ctrl-C in a change of primary says, by how far it had come."""

from __future__ import annotations

from msgspec.structs import replace

from operations.cutover.interrupted import interruption
from shared.control.fold import State, judge
from shared.control.records import (
    CAPTURE,
    OPERATOR,
    SINK,
    Aborted,
    Announced,
    Asked,
    Drained,
    Fenced,
    Held,
    LetGo,
    Opened,
    Opening,
    Prepared,
    Record,
    Verified,
)

_ASKED = Asked(by=OPERATOR, at_ms=0, attempt="a", epoch=1, max_pause_ms=5_000, who="ada@host")
_HELD = Held(by=CAPTURE, at_ms=1, attempt="a", since_ms=1, lease=1, number=7, offset=9)
_DRAINED = Drained(by=SINK, at_ms=2, attempt="a")
_VERIFIED = Verified(by=OPERATOR, at_ms=3, attempt="a")
_PREPARED = Prepared(by=SINK, at_ms=4, attempt="a")
_CLOSED = (_ASKED, _HELD, _DRAINED, _VERIFIED, _PREPARED, Fenced(by=CAPTURE, at_ms=5, attempt="a"))
_OPENED = (*_CLOSED, Opening(by=SINK, at_ms=6, attempt="a"), Opened(by=SINK, at_ms=7, attempt="a"))
_ABORTED = Aborted(by=OPERATOR, at_ms=6, attempt="a", reason="no")
_LET_GO = LetGo(by=CAPTURE, at_ms=7, attempt="a")


def _said(*records: Record) -> str:
    state = State()
    for record in records:
        state, void = judge(state, record)
        assert not void
    error = interruption(State(), state, now=1_000)
    assert error.exit_code == 130
    return str(error)


def test_before_anything_was_asked_nothing_was_changed() -> None:
    said = _said()
    assert "nothing was changed, SQLite is the primary as before" in said


def test_an_attempt_that_was_given_up_says_how_far_it_came_and_who_takes_writes() -> None:
    said = _said(_ASKED, _HELD, _DRAINED, _ABORTED, _LET_GO)
    assert "given up (reached: the replica has everything): SQLite is the primary and takes writes" in said


def test_writers_that_are_still_held_go_on_by_themselves_or_by_abort() -> None:
    said = _said(_ASKED, _HELD)
    assert "capture held the writers" in said
    assert "after 5 s at the most; `switchback abort` gives up now" in said


def test_behind_the_fence_resume_and_abort_are_named_and_while_opening_resume_alone() -> None:
    said = _said(*_CLOSED)
    assert "`switchback resume`" in said
    assert "`switchback abort`" in said
    said = _said(*_OPENED[:-1])
    assert "`switchback resume`" in said
    assert "`switchback abort`" not in said


def test_behind_the_opening_the_new_primary_is_named_and_resume_where_the_application_was_not_told() -> None:
    said = _said(*_OPENED)
    assert "PostgreSQL is the primary now, epoch 1" in said
    assert "`switchback resume`" in said
    assert "resume" not in _said(*_OPENED, Announced(by=OPERATOR, at_ms=8, epoch=1))


def test_an_attempt_that_ended_before_the_command_is_not_taken_for_its_own() -> None:
    before = State()
    for record in (_ASKED, _HELD, _ABORTED, _LET_GO):
        before, _ = judge(before, record)
    assert "nothing was changed" in str(interruption(before, replace(before), now=1_000))
