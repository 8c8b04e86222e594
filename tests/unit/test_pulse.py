"""When a daemon counts as hanging, and when as useful."""

from __future__ import annotations

import pytest

from shared.pulse import BEHIND_SECONDS, PATIENCE_SECONDS, Pulse


class Clock:
    """Time that a test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pulse(clock: Clock) -> Pulse:
    """Of a daemon in step whose loop has just turned."""
    pulse = Pulse(clock)
    pulse.connected()
    pulse.stands(copied=True, behind=0.0)
    pulse.turn()
    return pulse


def test_a_daemon_in_step_is_well_and_ready(pulse: Pulse) -> None:
    assert (pulse.sick, pulse.unready) == ("", "")


def test_a_loop_that_does_not_turn_is_sick(pulse: Pulse, clock: Clock) -> None:
    clock.now = PATIENCE_SECONDS + 1
    assert pulse.sick == "the loop has not turned for 1801 s"


def test_a_turn_of_the_loop_heals_it(pulse: Pulse, clock: Clock) -> None:
    clock.now = PATIENCE_SECONDS + 1
    pulse.turn()
    assert pulse.sick == ""


def test_a_copy_may_take_as_long_as_it_takes(pulse: Pulse, clock: Clock) -> None:
    pulse.stands(copied=False, behind=0.0)
    pulse.turn()
    clock.now = 100 * PATIENCE_SECONDS
    assert pulse.sick == ""
    assert pulse.unready == "the copy is not finished"


def test_what_it_waits_for_makes_it_unready_and_not_sick(pulse: Pulse) -> None:
    pulse.connected("the broker is away")
    assert (pulse.sick, pulse.unready) == ("", "the broker is away")


def test_one_that_is_late_is_not_ready(pulse: Pulse) -> None:
    pulse.stands(copied=True, behind=BEHIND_SECONDS + 1)
    assert pulse.unready == "61 s behind"


def test_before_anything_was_reached_it_is_not_ready(clock: Clock) -> None:
    assert Pulse(clock).unready == "nothing was reached yet"
