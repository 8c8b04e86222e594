"""What `status` says of a change of primary that is under way, and what it advises."""

from __future__ import annotations

from operations.cutover.summary import describe
from shared.control.fold import State, judge
from shared.control.records import (
    CAPTURE,
    OPERATOR,
    SINK,
    Aborted,
    Asked,
    Drained,
    Fenced,
    Held,
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
_FENCED = Fenced(by=CAPTURE, at_ms=5, attempt="a")
_OPENING = Opening(by=SINK, at_ms=6, attempt="a")
_ABORTED = Aborted(by=OPERATOR, at_ms=6, attempt="a", reason="no")
_CLOSED = (_ASKED, _HELD, _DRAINED, _VERIFIED, _PREPARED, _FENCED)


def _after(*records: Record) -> State:
    state = State()
    for record in records:
        state, void = judge(state, record)
        assert not void
    return state


def test_while_both_sides_are_closed_there_are_two_ways_on() -> None:
    found = describe(_after(*_CLOSED), 1_000)
    assert found.closed
    assert "`switchback resume` sees it through, `switchback abort` goes back" in found.remedy


def test_once_the_new_primary_is_being_opened_only_resume_is_offered() -> None:
    found = describe(_after(*_CLOSED, _OPENING), 1_000)
    assert "switchback resume" in found.remedy
    assert "abort" not in found.remedy


def test_after_an_abort_behind_the_fence_capture_is_what_is_needed() -> None:
    found = describe(_after(*_CLOSED, _ABORTED), 1_000)
    assert found.remedy == "start capture, if it does not run"


def test_before_the_fence_nothing_needs_to_be_done() -> None:
    assert describe(_after(_ASKED, _HELD), 1_000).remedy == ""
