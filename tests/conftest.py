"""What every test may use: real servers, and a way to cut the wire to them."""

from __future__ import annotations

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
