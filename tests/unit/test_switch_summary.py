"""What `status` says of a change of primary that is under way, and what it advises."""

from __future__ import annotations

from attempts import ABORTED, ALL_CLOSED, ASKED, HELD, OPENING, after
from operations.cutover.summary import describe


def test_while_both_sides_are_closed_there_are_two_ways_on() -> None:
    found = describe(after(*ALL_CLOSED), 1_000)
    assert found.closed
    assert "`switchback resume` sees it through, `switchback abort` goes back" in found.remedy


def test_once_the_new_primary_is_being_opened_only_resume_is_offered() -> None:
    found = describe(after(*ALL_CLOSED, OPENING), 1_000)
    assert "switchback resume" in found.remedy
    assert "abort" not in found.remedy


def test_after_an_abort_behind_the_fence_capture_is_what_is_needed() -> None:
    found = describe(after(*ALL_CLOSED, ABORTED), 1_000)
    assert found.remedy == "start capture, if it does not run"


def test_before_the_fence_nothing_needs_to_be_done() -> None:
    assert describe(after(ASKED, HELD), 1_000).remedy == ""
