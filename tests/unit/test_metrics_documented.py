"""docs/metrics.md and the metrics themselves say the same."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from shared.metrics import CaptureMetrics, ProgramMetrics, SinkMetrics

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"
ROW = re.compile(r"^\| `(\w+)` \| (\w+) \| ([^|]+) \| ([^|]+) \|")


def _defined(*makers: Callable[[CollectorRegistry], object]) -> dict[str, str]:
    registry = CollectorRegistry()
    for make in makers:
        make(registry)
    return {family.name + ("_total" if family.type == "counter" else ""): family.type for family in registry.collect()}


def _documented(*headings: str) -> dict[str, str]:
    text = PAGE.read_text(encoding="utf-8")
    found = {}
    for heading in headings:
        section = text.split(f"## {heading}\n")[1].split("\n## ")[0]
        found.update({match[1]: match[2] for line in section.splitlines() if (match := ROW.match(line))})
    return found


def _program(registry: CollectorRegistry) -> ProgramMetrics:
    return ProgramMetrics(registry, "capture", "app")


@pytest.mark.parametrize(("heading", "maker"), [("Capture", CaptureMetrics), ("Sink", SinkMetrics)])
def test_every_metric_of_a_daemon_is_documented_and_nothing_else_is(
    heading: str, maker: Callable[[CollectorRegistry], object]
) -> None:
    assert _defined(_program, maker) == _documented("Both daemons", heading)


def test_every_documented_metric_has_a_meaning_and_begins_with_our_name() -> None:
    rows = [match for line in PAGE.read_text(encoding="utf-8").splitlines() if (match := ROW.match(line))]
    assert rows
    assert all(match[1].startswith("switchback_") and match[4].strip() for match in rows)
