"""What a round of capture's house-keeping says in metrics."""

from __future__ import annotations

import math
import time
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from capture.measures import House, Measures
from capture.progress import Progress
from capture.relay import Published
from shared.control.fold import State
from shared.metrics import CaptureMetrics
from shared.pulse import Pulse
from shared.reports import Report, Verdict

DAY = 86_400.0


class Measured:
    """Measures on a registry of their own."""

    def __init__(self, retention: float | None = 7 * DAY) -> None:
        self.registry = CollectorRegistry()
        self.pulse = Pulse()
        self.pulse.connected()
        self.measures = Measures(CaptureMetrics(self.registry), self.pulse, Path("app.db"), retention)

    def keep(self, *, high: int, logged: int, applied: int, age: float | None = None, error: str = "") -> None:
        oldest = None if age is None else int((time.time() - age) * 1000)
        report = Report(seq=applied, error=error, trouble=error)
        house = House(Progress(seq=logged, copied=True), {}, report, high, high, oldest, Verdict(), State())
        self.measures.kept_house(house)

    def value(self, name: str, **labels: str) -> float:
        found = self.registry.get_sample_value(f"switchback_{name}", labels)
        assert found is not None
        return found


@pytest.fixture
def measured() -> Measured:
    return Measured()


def test_the_lag_is_told_by_stage(measured: Measured) -> None:
    measured.keep(high=100, logged=90, applied=40)
    assert [measured.value("lag_changes", stage=stage) for stage in ("captured", "logged", "applied")] == [10, 10, 60]


def test_bytes_go_by_the_mean_size_of_what_was_published(measured: Measured) -> None:
    measured.measures.published(Published("changes", "", 50, 0, 1, 5_000))
    measured.keep(high=100, logged=100, applied=40)
    assert measured.value("lag_bytes", stage="applied") == 60 * 100
    assert measured.value("changelog_bytes") == 100 * 100


def test_what_is_not_applied_uses_up_the_logs_retention(measured: Measured) -> None:
    measured.keep(high=100, logged=100, applied=40, age=2 * DAY)
    age = measured.value("oldest_unapplied_age_seconds")
    assert age >= 2 * DAY
    assert measured.value("retention_left_seconds") == pytest.approx(7 * DAY - age)


def test_a_replica_that_has_everything_has_all_the_time_there_is(measured: Measured) -> None:
    measured.keep(high=100, logged=100, applied=100)
    assert measured.value("oldest_unapplied_age_seconds") == 0
    assert measured.value("retention_left_seconds") == 7 * DAY


def test_capture_is_not_late_for_a_commit_that_just_came_after_a_quiet_hour(measured: Measured) -> None:
    measured.measures.published(Published("changes", "", 1, 0, int((time.time() - 3_600) * 1000), 100))
    measured.keep(high=2, logged=1, applied=1, age=0.0)
    assert measured.pulse.unready == ""


def test_capture_is_late_where_it_has_published_nothing_of_what_came_an_hour_ago(measured: Measured) -> None:
    measured.measures.published(Published("changes", "", 1, 0, int((time.time() - 7_200) * 1000), 100))
    measured.keep(high=2, logged=1, applied=1, age=3_600.0)
    assert measured.pulse.unready.endswith("s behind")


def test_a_log_that_keeps_what_is_not_applied_never_runs_out() -> None:
    embedded = Measured(None)
    embedded.keep(high=100, logged=100, applied=40, age=9 * DAY)
    assert embedded.value("retention_left_seconds") == math.inf


def test_a_sink_that_stopped_is_told_by_its_error_until_it_works_again(measured: Measured) -> None:
    measured.keep(high=1, logged=1, applied=0, error="hold")
    assert measured.value("stopped", daemon="sink", **{"class": "hold"}) == 1
    measured.keep(high=1, logged=1, applied=1)
    assert measured.value("stopped", daemon="sink", **{"class": "hold"}) == 0
