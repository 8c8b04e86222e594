"""Whoever writes for long: named, so that the operator knows whom to ask."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg

from shared.findings import Finding

_LOCKS = Path("/proc/locks")
_WRITERS = """
SELECT a.pid, a.application_name, a.usename::text, a.state,
       extract(epoch FROM clock_timestamp() - a.xact_start)::float8, min(c.relname)
  FROM pg_locks AS l
  JOIN pg_class AS c ON c.oid = l.relation
  JOIN switchback.captured AS t ON t.table_name = c.relname AND t.stream = %(stream)s
  JOIN pg_stat_activity AS a ON a.pid = l.pid
 WHERE l.mode LIKE '%%Exclusive%%' AND l.granted AND c.relnamespace = current_schema()::regnamespace
   AND l.pid <> pg_backend_pid() AND a.xact_start < clock_timestamp() - make_interval(secs => %(seconds)s)
 GROUP BY a.pid, a.application_name, a.usename, a.state, a.xact_start
"""
_PREPARED = "SELECT gid, extract(epoch FROM clock_timestamp() - prepared)::float8 FROM pg_prepared_xacts"


def open_writers(db: psycopg.Connection[Any], stream: str, seconds: float) -> Iterator[Finding]:
    """Transactions older than that which hold a lock that the hold would wait for."""
    values = {"stream": stream, "seconds": seconds}
    for pid, application, user, state, age, table in db.execute(_WRITERS.encode(), values):
        what = (
            f"process {pid} ({application or 'no name'}, user {user}, {state}) has a transaction open for {age:.0f} s"
        )
        yield Finding("refuse", "long-writer", what, f"table {table}", "Let it end first")
    for gid, age in db.execute(_PREPARED):
        what = f"the prepared transaction {gid} is {age:.0f} s old"
        yield Finding(
            "warn", "prepared", what, remedy="COMMIT PREPARED or ROLLBACK PREPARED, if it writes to our tables"
        )


def lock_holder(path: Path) -> str:
    """``: process 12 (python)`` for who holds a write lock on the file, as far as the system tells."""
    inodes = {
        file.stat().st_ino for suffix in ("", "-wal", "-shm") if (file := path.with_name(path.name + suffix)).exists()
    }
    try:
        lines = _LOCKS.read_text().splitlines()
    except OSError:
        return ""
    for line in lines:
        words = line.split()
        if "WRITE" in words and words[-3].rpartition(":")[2].isdigit() and int(words[-3].rpartition(":")[2]) in inodes:
            pid = words[words.index("WRITE") + 1]
            return f": process {pid} ({_command(pid)})"
    return ""


def _command(pid: str) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return "ended meanwhile"
