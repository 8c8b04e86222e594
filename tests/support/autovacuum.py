"""Autovacuum as it is on a large table: at work for longer than anybody wants to wait."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from daemons import wait_until

SETTINGS = {"autovacuum": "on", "autovacuum_naptime": "1s", "autovacuum_vacuum_insert_threshold": "100"}
_SLOWLY = """
ALTER TABLE {table} SET (
  autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1, autovacuum_vacuum_insert_scale_factor = 0
)
"""
_AT_WORK = """
SELECT 1 FROM pg_stat_progress_vacuum JOIN pg_stat_activity AS a USING (pid)
 WHERE relid = %s::regclass AND a.xact_start < clock_timestamp() - interval '1.5 seconds'
"""


@contextmanager
def slow_autovacuum(dsn: str, table: str) -> Iterator[None]:
    """Begins when a table, of some thousand rows, is being vacuumed for a while: a page takes nearly half a second."""
    with psycopg.connect(dsn, autocommit=True) as db:
        db.execute(_SLOWLY.format(table=table).encode())
        for name, value in SETTINGS.items():
            db.execute(f"ALTER SYSTEM SET {name} = '{value}'".encode())
        db.execute("SELECT pg_reload_conf()")
        wait_until("autovacuum is at work", lambda: db.execute(_AT_WORK, (table,)).fetchone())
        yield
