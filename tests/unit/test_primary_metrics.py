"""The switch as metrics: who is primary, the phase, each step of the last attempt, and the pause."""

from __future__ import annotations

import math
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from shared.control.fold import State, judge
from shared.control.records import (
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
    Verified,
)
from shared.primary_metrics import PrimaryMetrics


def _at(milliseconds: int, attempt: str = "a") -> dict[str, Any]:
    return {"by": "x", "at_ms": milliseconds, "attempt": attempt}


ASKED = Asked(**_at(1_000), epoch=1, max_pause_ms=5_000)
HELD = Held(**_at(1_120), since_ms=1_100, lease=1, number=1, offset=1)
GIVEN_UP: list[Record] = [ASKED, HELD, Aborted(**_at(1_200), reason="r"), LetGo(**_at(1_300))]
OPENED: list[Record] = [
    ASKED,
    HELD,
    Drained(**_at(1_150)),
    Verified(**_at(1_160)),
    Prepared(**_at(1_170)),
    Fenced(**_at(1_180)),
    Opening(**_at(1_190)),
    Opened(**_at(1_200)),
]


class Seen:
    """Metrics that have heard some records, one after the other."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._metrics = PrimaryMetrics(self._registry)
        self._state = State()

    def hear(self, *records: Record) -> None:
        self._metrics.update(self._state)
        for record in records:
            self._state, void = judge(self._state, record)
            assert not void
            self._metrics.update(self._state)

    def value(self, name: str, **labels: str) -> float | None:
        return self._registry.get_sample_value(f"switchback_{name}", labels)

    def ones(self, name: str, label: str) -> list[str]:
        families = {family.name: family for family in self._registry.collect()}
        return [sample.labels[label] for sample in families[f"switchback_{name}"].samples if sample.value == 1]


@pytest.fixture
def seen() -> Seen:
    return Seen()


def test_before_the_control_stream_was_read_nothing_is_claimed(seen: Seen) -> None:
    assert math.isnan(seen.value("epoch") or 0.0)
    assert seen.ones("primary", "side") == []


def test_in_the_beginning_sqlite_is_the_primary(seen: Seen) -> None:
    seen.hear()
    assert (seen.value("epoch"), seen.ones("primary", "side"), seen.ones("phase", "phase")) == (
        0,
        ["sqlite"],
        ["normal"],
    )


@pytest.mark.parametrize(("records", "phase"), [(1, "asked"), (2, "held"), (6, "closed"), (8, "normal")])
def test_exactly_one_phase_is_shown(seen: Seen, records: int, phase: str) -> None:
    seen.hear(*OPENED[:records])
    assert seen.ones("phase", "phase") == [phase]


def test_after_a_switch_the_other_side_is_the_primary_and_the_pause_is_known(seen: Seen) -> None:
    seen.hear(*OPENED)
    assert (seen.value("epoch"), seen.ones("primary", "side")) == (1, ["postgres"])
    assert seen.value("last_switch_timestamp_seconds") == 1.2
    assert seen.value("last_pause_seconds") == pytest.approx(0.1)


def test_each_step_of_an_attempt_is_dated(seen: Seen) -> None:
    seen.hear(*OPENED)
    assert seen.value("switch_step_timestamp_seconds", step="held") == 1.12
    assert seen.value("switch_step_timestamp_seconds", step="opened") == 1.2


def test_a_new_attempt_forgets_the_steps_of_the_last_one(seen: Seen) -> None:
    seen.hear(*GIVEN_UP, Asked(**_at(9_000, "b"), epoch=1, max_pause_ms=5_000))
    assert seen.value("switch_step_timestamp_seconds", step="asked") == 9.0
    assert seen.value("switch_step_timestamp_seconds", step="held") is None


def test_an_attempt_that_was_given_up_is_no_pause_of_a_switch(seen: Seen) -> None:
    seen.hear(*GIVEN_UP)
    assert math.isnan(seen.value("last_pause_seconds") or 0.0)
