"""VACUUM and ANALYZE at work on the stream's tables: a lock that closing or opening needs cannot be had meanwhile.

PostgreSQL's own (autovacuum) ends at once for whoever waits for its lock, but only after ``deadlock_timeout``, a
second.  So it is asked to before anybody is made to wait: in a transaction that only takes the weakest lock that is
in its way, and which readers and writers do not meet.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg import errors, sql

_UNDER_WAY = """
SELECT l.relation::regclass::text FROM pg_locks AS l
 WHERE l.relation = ANY (%s::regclass[]) AND l.granted AND l.pid <> pg_backend_pid()
   AND l.mode = 'ShareUpdateExclusiveLock'
   AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
_GLANCE_SECONDS = 0.05


def maintained(db: psycopg.Connection[Any], schema: str, names: Sequence[str]) -> list[str]:
    """Those of these tables that are being vacuumed or analysed, as SQL."""
    tables = [sql.Identifier(schema, name).as_string(db) for name in names]
    return [name for (name,) in db.execute(_UNDER_WAY, (tables,))]


def ask_to_give_way(db: psycopg.Connection[Any], table: str, seconds: float) -> None:
    """Wait until the table, as SQL, is left alone, or a while; the connection is in autocommit mode.

    A role that may not lock the table waits without asking.
    """
    try:
        with db.transaction():
            db.execute(f"SET LOCAL lock_timeout = {max(1, round(seconds * 1000))}".encode())
            db.execute(sql.SQL("LOCK TABLE {} IN SHARE UPDATE EXCLUSIVE MODE").format(sql.SQL(table)))
    except (errors.LockNotAvailable, errors.DeadlockDetected):
        return
    except errors.InsufficientPrivilege:
        time.sleep(_GLANCE_SECONDS)
