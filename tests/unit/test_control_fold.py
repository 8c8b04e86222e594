"""Which records of the control stream count, and what the operator is told of each state."""

from __future__ import annotations

import pytest

from operations.cutover.summary import describe
from shared.control import records
from shared.control.fold import State, judge
from shared.control.records import Record

_WHOLE = ("Asked", "Held", "Drained", "Verified", "Prepared", "Fenced", "Opening", "Opened")


def _record(name: str, attempt: str = "a", *, rehearsal: bool = False) -> Record:
    more: dict[str, object] = {
        "Asked": {"epoch": 1, "max_pause_ms": 5000, "rehearsal": rehearsal, "who": "joe@host"},
        "Held": {"lease": 1, "number": 7, "offset": 9},
        "Aborted": {"reason": "no more"},
    }
    given = {"by": "test", "at_ms": 1_000, "attempt": attempt, **(more.get(name) or {})}  # type: ignore[dict-item]
    made: Record = getattr(records, name)(**given)
    return made


def _after(*names: str, rehearsal: bool = False) -> State:
    state = State()
    for name in names:
        state, void = judge(state, _record(name, rehearsal=rehearsal))
        assert not void, f"{name}: {void}"
    return state


def test_all_steps_in_their_order_begin_the_next_epoch() -> None:
    state = _after(*_WHOLE)
    assert (state.epoch, state.primary, state.attempt) == (1, "postgres", None)
    assert state.last is not None
    assert state.last.opened


@pytest.mark.parametrize(
    ("step", "done"),
    [
        ("Held", ()),
        ("Drained", _WHOLE[:1]),
        ("Verified", _WHOLE[:1]),
        ("Prepared", _WHOLE[:2]),
        ("Fenced", _WHOLE[:4]),
        ("Fenced", ("Asked", "Held", "Drained", "Prepared")),
        ("Opening", _WHOLE[:5]),
        ("Opened", _WHOLE[:6]),
    ],
)
def test_no_step_counts_before_those_that_it_follows_upon(step: str, done: tuple[str, ...]) -> None:
    before = _after(*done)
    state, void = judge(before, _record(step))
    assert void
    assert state is before


@pytest.mark.parametrize("place", range(1, 7))
def test_an_abort_counts_until_the_new_side_is_being_opened_and_then_nothing_else_does(place: int) -> None:
    state, void = judge(_after(*_WHOLE[:place]), _record("Aborted"))
    assert not void
    assert all(judge(state, _record(name)).void for name in _WHOLE)
    state, void = judge(state, _record("LetGo"))
    assert not void
    assert (state.epoch, state.attempt) == (0, None)


def test_behind_opening_an_abort_is_void() -> None:
    assert "only go forward" in judge(_after(*_WHOLE[:7]), _record("Aborted")).void


def test_a_second_attempt_and_a_step_of_another_attempt_are_void() -> None:
    state = _after("Asked")
    assert "under way" in judge(state, _record("Asked", "b")).void
    assert "not under way" in judge(state, _record("Held", "b")).void


def test_a_rehearsal_is_never_fenced() -> None:
    assert judge(_after(*_WHOLE[:5], rehearsal=True), _record("Fenced")).void == "the attempt is a rehearsal"


def test_nothing_begins_after_the_end() -> None:
    state, void = judge(State(epoch=1), records.Completed(by="test", at_ms=0, epoch=1))
    assert not void
    assert judge(state, _record("Asked")).void == "the migration is completed"


def test_an_end_that_was_decided_upon_before_somebody_went_back_is_void() -> None:
    """Its writer would take the fence of what is the replica again, and both sides would take writes."""
    state, void = judge(State(epoch=2), records.Completed(by="test", at_ms=0, epoch=1))
    assert void == "this is epoch 2, not 1"
    assert not state.completed


def test_an_end_that_an_older_version_wrote_counts_still() -> None:
    old = records.decode_record(b'{"type":"Completed","by":"operator","at_ms":0}')
    assert judge(State(epoch=1), old).state.completed


@pytest.mark.parametrize(
    ("place", "words"),
    [
        (1, "asked by joe@host; capture has to hold the writers"),
        (2, "not yet drained nor verified nor prepared"),
        (6, "neither side takes writes; the sink has to open PostgreSQL"),
        (7, "neither side takes writes; the sink has been opening PostgreSQL"),
    ],
)
def test_status_says_who_waits_for_whom(place: int, words: str) -> None:
    assert words in describe(_after(*_WHOLE[:place]), 2_000).waiting
