"""docs/metrics.md and the metrics themselves say the same."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from prometheus_client import CollectorRegistry

from documented import described, documented
from shared.metrics import CaptureMetrics, ProgramMetrics, SinkMetrics, TopicsMetrics
from shared.primary_metrics import PrimaryMetrics


def _defined(*makers: Callable[[CollectorRegistry], object]) -> dict[str, str]:
    registry = CollectorRegistry()
    for make in makers:
        make(registry)
    return {family.name + ("_total" if family.type == "counter" else ""): family.type for family in registry.collect()}


def _program(registry: CollectorRegistry) -> ProgramMetrics:
    return ProgramMetrics(registry, "capture", "app")


@pytest.mark.parametrize(("heading", "maker"), [("Capture", CaptureMetrics), ("Sink", SinkMetrics)])
def test_every_metric_of_a_daemon_is_documented_and_nothing_else_is(
    heading: str, maker: Callable[[CollectorRegistry], object]
) -> None:
    assert _defined(_program, PrimaryMetrics, maker) == documented("Both daemons", heading, "The process")


def test_every_metric_of_the_topics_is_documented_and_nothing_else_is() -> None:
    assert _defined(TopicsMetrics) == documented("Topics")


def test_every_documented_metric_has_a_unit_a_meaning_and_what_to_do_when_it_moves() -> None:
    rows = described()
    assert rows
    assert [row.name for row in rows if not (row.unit and row.meaning and row.remedy)] == []


def test_all_metrics_of_ours_begin_with_our_name() -> None:
    assert all(row.name.startswith("switchback_") for row in described("Both daemons", "Capture", "Sink", "Topics"))
