"""What every test may use: real servers, and a way to cut the wire to them."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Each of the longest begins a share of the suite, and so a process: none is waited for at the end."""
    longest = [item for item in items if item.get_closest_marker("longest")]
    rest = [item for item in items if item not in longest]
    share = -(-len(rest) // max(1, len(longest)))
    items[:] = [
        item for number, first in enumerate(longest) for item in (first, *rest[number * share : (number + 1) * share])
    ] or rest


if not os.environ.get("CI"):  # there Hypothesis has a profile of its own, which has no deadline either
    settings.register_profile("switchback", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("switchback")

pytest_plugins = [
    "progress",
    "fix_postgres",
    "fix_kafka",
    "fix_connect",
    "fix_proxy",
    "fix_sqlite",
    "fix_migration",
    "fix_world",
    "fix_roles",
    "fix_secure",
]
