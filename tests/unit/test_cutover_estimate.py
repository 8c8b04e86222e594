"""What a rehearsal says of the pause to come."""

from __future__ import annotations

from operations.cutover.conductor import Wish
from operations.cutover.view import noticed_ms, outcome_of, rehearsed_ms
from shared.control.fold import Attempt, Flip
from shared.control.records import Asked, Held

HELD = Held(by="capture", at_ms=1_010, attempt="a", since_ms=1_000, lease=1, number=1, offset=1, sequences={})


def _flip(epoch: int, *, ready_ms: int, fence_ms: int) -> Flip:
    asked = Asked(by="operator", at_ms=990, attempt="a", epoch=epoch, max_pause_ms=5_000, rehearsal=True, who="me")
    times = {"Asked": 990, "Held": 1_010, "Prepared": ready_ms - 5, "Verified": ready_ms}
    return Flip(Attempt(asked, HELD, times=times), opened=False, reason="rehearsed", fence_ms=fence_ms)


def test_a_writer_that_waits_for_sqlite_looks_again_after_ever_longer_sleeps() -> None:
    assert [noticed_ms(held) for held in (0, 9, 54, 79, 229, 330)] == [1, 18, 78, 103, 328, 428]


def test_towards_postgresql_writers_notice_the_end_of_the_whole_hold_a_little_late() -> None:
    assert rehearsed_ms(_flip(1, ready_ms=1_040, fence_ms=20)) == 78


def test_towards_sqlite_they_are_told_at_the_fence_and_then_wait_for_its_lock() -> None:
    assert rehearsed_ms(_flip(2, ready_ms=1_040, fence_ms=20)) == 40 + 33


def test_the_figure_is_told_with_its_parts() -> None:
    [line] = outcome_of(_flip(2, ready_ms=1_040, fence_ms=20), Wish(2, 5.0, rehearsal=True))
    assert line.endswith("would be about 73 ms (measured 40 ms, and about 33 ms for the last step).")
