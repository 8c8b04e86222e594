"""Whoever writes for long: named, so that the operator knows whom to ask."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg

from shared.findings import Finding

_LOCKS = Path("/proc/locks")
_WAL_WRITE_BYTE = 120  # of the -shm file; those behind it are taken by readers and by checkpoints too
_RESERVED_BYTE = 0x40000001  # of the database itself, where there is no WAL
_WRITERS = """
SELECT a.pid, a.application_name, a.usename::text, a.state,
       extract(epoch FROM clock_timestamp() - a.xact_start)::float8, min(c.relname)
  FROM pg_locks AS l
  JOIN pg_class AS c ON c.oid = l.relation
  JOIN switchback.captured AS t ON t.table_name = c.relname AND t.stream = %(stream)s
  JOIN pg_stat_activity AS a ON a.pid = l.pid
 WHERE l.mode LIKE '%%Exclusive%%' AND l.granted AND c.relnamespace = current_schema()::regnamespace
   AND l.pid <> pg_backend_pid() AND a.usesysid IS NOT NULL
   AND a.xact_start < clock_timestamp() - make_interval(secs => %(seconds)s)
 GROUP BY a.pid, a.application_name, a.usename, a.state, a.xact_start
"""
_PREPARED = "SELECT gid, extract(epoch FROM clock_timestamp() - prepared)::float8 FROM pg_prepared_xacts"


def open_writers(db: psycopg.Connection[Any], stream: str, seconds: float) -> Iterator[Finding]:
    """Transactions older than that which hold a lock that the hold would wait for; autovacuum gives way to it."""
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
    """``: process 12 (python)`` for who holds the write lock on the file, as far as the system tells."""
    shm = path.with_name(f"{path.name}-shm")
    places = {
        file.stat().st_ino: byte for file, byte in ((path, _RESERVED_BYTE), (shm, _WAL_WRITE_BYTE)) if file.exists()
    }
    try:
        lines = _LOCKS.read_text().splitlines()
    except OSError:
        return ""
    for line in lines:
        _, how, *_, kind, pid, inode, first, last = line.split()
        byte = places.get(int(inode.rpartition(":")[2]), -1)
        end = byte if last == "EOF" else int(last)
        if (how, kind) == ("POSIX", "WRITE") and int(first) <= byte <= end:
            return f": process {pid} ({_command(pid)})"
    return ""


def _command(pid: str) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return "ended meanwhile"
