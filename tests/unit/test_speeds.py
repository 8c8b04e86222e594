"""Rates over the last seconds, the time that is left, and the pause that follows from them."""

from __future__ import annotations

import math

import pytest
from prometheus_client import CollectorRegistry

from capture.copying import Copying
from capture.progress import Progress, TableProgress
from capture.speeds import Speed
from shared.control.fold import State
from shared.control.pause import USUAL_SECONDS, estimate_pause
from shared.metrics import CaptureMetrics


def test_a_rate_is_how_much_a_number_grew_a_second() -> None:
    speed = Speed()
    assert [speed.note(at, at * 50) for at in (0.0, 1.0, 2.0)] == [0.0, 50.0, 50.0]


def test_only_the_last_seconds_count() -> None:
    speed = Speed()
    speed.note(0.0, 0)
    speed.note(1.0, 1_000_000)
    assert [speed.note(at, 1_000_000) for at in (12.0, 13.0)] == [0.0, 0.0]


def test_a_number_that_went_back_begins_anew() -> None:
    speed = Speed()
    speed.note(0.0, 500)
    assert [speed.note(1.0, 0), speed.note(2.0, 30)] == [0.0, 30.0]


def _left(*rounds: tuple[float, Progress]) -> float | None:
    registry = CollectorRegistry()
    copying = Copying(CaptureMetrics(registry))
    for now, progress in rounds:
        copying.look(progress, {"a": 1_000, "b": 3_000}, now)
    return registry.get_sample_value("switchback_snapshot_left_seconds")


def _copied(rows: int, *, copied: bool = False) -> Progress:
    return Progress(copied=copied, tables={"a": TableProgress("00", rows, 1_000, done=False)})


def test_the_time_left_covers_tables_that_were_not_begun() -> None:
    assert _left((0.0, _copied(0)), (1.0, _copied(500))) == pytest.approx(3_500 / 500)


def test_a_table_that_is_done_leaves_nothing_even_where_its_total_was_guessed_too_high() -> None:
    done = Progress(tables={"a": TableProgress("00", 500, 1_000, done=True)})
    assert _left((0.0, _copied(0)), (1.0, done)) == pytest.approx(3_000 / 500)


def test_the_time_left_is_not_known_at_first() -> None:
    assert math.isnan(_left((0.0, _copied(0))) or 0.0)


def test_nothing_is_left_of_a_copy_that_is_done() -> None:
    assert _left((0.0, _copied(0)), (1.0, _copied(500, copied=True))) == 0.0


def test_the_pause_is_what_drains_and_what_a_switch_takes_besides() -> None:
    assert estimate_pause(State(), 5_000, 10_000.0) == pytest.approx(0.5 + USUAL_SECONDS)


def test_a_replica_of_unknown_speed_counts_as_slow() -> None:
    assert estimate_pause(State(), 5_000, 0.0) == pytest.approx(5.0 + USUAL_SECONDS)
