"""What Ctrl-C in a change of primary says, by how far it had come."""

from __future__ import annotations

from msgspec.structs import replace

from attempts import ABORTED, ALL_CLOSED, ALL_OPENED, ASKED, DRAINED, HELD, LET_GO, after
from operations.cutover.interrupted import interruption
from shared.control.fold import State, judge
from shared.control.records import (
    OPERATOR,
    Announced,
    Record,
)


def _said(*records: Record) -> str:
    error = interruption(State(), after(*records), now=1_000)
    assert error.exit_code == 130
    return str(error)


def test_before_anything_was_asked_nothing_was_changed() -> None:
    said = _said()
    assert "nothing was changed, SQLite is the primary as before" in said


def test_an_attempt_that_was_given_up_says_how_far_it_came_and_who_takes_writes() -> None:
    said = _said(ASKED, HELD, DRAINED, ABORTED, LET_GO)
    assert "given up (reached: the replica has everything): SQLite is the primary and takes writes" in said


def test_writers_that_are_still_held_go_on_by_themselves_or_by_abort() -> None:
    said = _said(ASKED, HELD)
    assert "capture held the writers" in said
    assert "after 5 s at the most; `switchback abort` gives up now" in said


def test_behind_the_fence_resume_and_abort_are_named_and_while_opening_resume_alone() -> None:
    said = _said(*ALL_CLOSED)
    assert "`switchback resume`" in said
    assert "`switchback abort`" in said
    said = _said(*ALL_OPENED[:-1])
    assert "`switchback resume`" in said
    assert "`switchback abort`" not in said


def test_behind_the_opening_the_new_primary_is_named_and_resume_where_the_application_was_not_told() -> None:
    said = _said(*ALL_OPENED)
    assert "PostgreSQL is the primary now, epoch 1" in said
    assert "`switchback resume`" in said
    assert "resume" not in _said(*ALL_OPENED, Announced(by=OPERATOR, at_ms=8, epoch=1))


def test_an_attempt_that_ended_before_the_command_is_not_taken_for_its_own() -> None:
    before = State()
    for record in (ASKED, HELD, ABORTED, LET_GO):
        before, _ = judge(before, record)
    assert "nothing was changed" in str(interruption(before, replace(before), now=1_000))
