"""Every order of the steps of a change of epoch, with deaths and second instances: see ``protocol_model``."""

from __future__ import annotations

import pytest

import protocol_model
from protocol_model import Limits, explore
from shared.control.fold import State


@pytest.mark.parametrize(
    "limits",
    [
        Limits(writes=2, attempts=1, deaths=0, freezes=0, aborts=1),
        Limits(writes=1, attempts=1, deaths=1, freezes=0, aborts=1),
        Limits(writes=1, attempts=2, deaths=1, freezes=0, aborts=1),
        Limits(writes=0, attempts=1, deaths=0, freezes=1, aborts=1),
    ],
    ids=["well", "one dies", "two attempts and one dies", "two instances at once"],
)
def test_never_both_open_no_write_lost_and_a_good_end_within_reach(limits: Limits) -> None:
    explored = explore(limits)
    assert not explored.wrong, (explored.wrong, explored.trail)
    assert explored.stuck is None
    assert explored.opened > 0


def test_the_model_finds_a_sink_that_opens_without_reading_its_word_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """That the model can fail: here the stream is not asked whether an abort came before."""
    monkeypatch.setattr(protocol_model, "_may_open", lambda _state, _attempt: True)
    explored = explore(Limits(writes=0, attempts=1, deaths=0, freezes=0, aborts=1))
    assert explored.wrong == "both sides take writes"


def test_the_model_finds_a_capture_that_takes_any_void_for_an_abort(monkeypatch: pytest.MonkeyPatch) -> None:
    def hasty(state: State, number: int) -> bool:
        return state.attempt is not None and state.attempt.id == str(number) and "Opening" in state.attempt.times

    monkeypatch.setattr(protocol_model, "_stays_closed", hasty)
    explored = explore(Limits(writes=0, attempts=1, deaths=0, freezes=0, aborts=0))
    assert explored.wrong == "both sides take writes"
