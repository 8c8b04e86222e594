"""Until when one can go back without loss."""

from __future__ import annotations

from operations.cutover.way_back import way_back

NOW = 1_800_000_000.0
DAY = 86_400.0


def test_a_log_that_keeps_what_is_not_applied_sets_no_end() -> None:
    assert way_back(3 * DAY, None, NOW).until is None


def test_in_step_there_is_no_end_but_a_warning() -> None:
    found = way_back(0.0, 7, NOW)
    assert found.until is None
    assert "7 days" in found.words


def test_behind_it_ends_when_the_topics_drop_the_oldest_change_that_waits() -> None:
    found = way_back(2 * DAY, 7, NOW)
    assert found.until == NOW + 5 * DAY
    assert found.words.startswith("until 2027-01-20")


def test_past_it_the_way_back_is_lost() -> None:
    assert way_back(8 * DAY, 7, NOW).words.startswith("lost")


def test_a_lag_that_is_not_known_promises_nothing() -> None:
    assert "not known" in way_back(None, 7, NOW).words
