"""What every test may use: real servers, and a way to cut the wire to them."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

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
