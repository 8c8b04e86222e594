"""Who holds the horizon back: the oldest transaction under way, behind which nothing is captured.

From pg_locks, which every role may read in full; pg_stat_activity shows a role only sessions of its own.
"""

from __future__ import annotations

from typing import Any

import psycopg

_OLDEST = """
SELECT l.pid, a.application_name, a.state, p.gid,
       extract(epoch FROM clock_timestamp() - coalesce(a.xact_start, p.prepared))::float8
  FROM pg_locks AS l
  LEFT JOIN pg_stat_activity AS a ON a.pid = l.pid
  LEFT JOIN pg_prepared_xacts AS p ON p.transaction = l.transactionid
 WHERE l.locktype = 'transactionid' AND l.mode = 'ExclusiveLock' AND l.granted
   AND l.pid IS DISTINCT FROM pg_backend_pid()
 ORDER BY age(l.transactionid) DESC LIMIT 1
"""


def horizon_holder(db: psycopg.Connection[Any]) -> str:
    """The session or the prepared transaction, in words; "" where nobody holds it."""
    row = db.execute(_OLDEST).fetchone()
    if row is None:
        return ""
    pid, application, state, prepared, seconds = row
    who = f"process {pid} ({application or 'no name'}, {state or 'of another role'})"
    if prepared is not None:
        who = f"the prepared transaction {prepared}"
    return who if seconds is None else f"{who} for {seconds:.0f} s"
