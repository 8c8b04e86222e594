"""The SQL of capturing from PostgreSQL, and why the change log is read as it is.

Transactions commit in another order than they began to write, and their numbers are given out when they begin.  So
what is published is a *snapshot*: what a statement sees is whole transactions, and with each of them all that it had
waited for or read.  The next group is what is seen now and is not in that snapshot; what is still under way, however
early it began, comes with a later one.  (A limit by number alone would not do: a transaction that began early, wrote
late and waited for a younger one would be published before that, with an older one between them under way.)
Within a group the order is that of ``seq``: where two transactions changed the same row, the one that came later had
to wait for the other's end before it could write, and so has the higher ``seq``.

While writers are held there is no transaction under way that has written to a captured table, so a look sees all that
there is, whatever else the server does.  All this hangs on the writers being held indeed, and a session can end
unnoticed: so each look asks for the holder's locks, *after* it has taken its snapshot, and counts for nothing without.
Nor does it where our triggers are not as they were left (see ``shared.postgres.guards``): whoever touched them has
committed before what was written through such a hole, so the same snapshot shows it.  Where nothing is to be read that
is left to the house-keeping: it costs a third of a millisecond with 26 tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shared.postgres.guards import GUARDS
from shared.postgres.snapshots import Snapshot

_CHECK = "coalesce(sum(hashint8extended(c.seq, c.ms)), 0)"
"""Neither number nor time alone: a server that lost changes gives their numbers out again, but later."""

_NEW = """
(SELECT * FROM switchback.changes WHERE xid >= %(from)s::text::xid8 AND xid < {end}
  UNION ALL SELECT * FROM switchback.changes WHERE xid = ANY (%(open)s::text[]::xid8[])) AS c
 WHERE c.seq > %(floor)s AND c.number = ANY (%(numbers)s)
"""
"""What is not in the snapshot whose end is ``from``: by two looks into the index, for what is forgotten stays in it for
as long as a transaction is under way.  ``floor`` is of a version that published all up to it."""

_END = "pg_snapshot_xmax(pg_current_snapshot())"

LOOK = f"""
SELECT s.role, s.lease, pg_current_snapshot()::text, w.waiting, w.checks, w.last,
       CASE WHEN %(held)s THEN (SELECT count(*) FROM pg_locks AS l
         WHERE l.pid = %(holder)s AND l.mode = 'ShareRowExclusiveLock' AND l.granted) END AS locks,
       CASE WHEN w.waiting > 0 OR %(held)s THEN s.guards = {GUARDS} ELSE true END AS guarded
  FROM switchback.side AS s,
       (SELECT count(*) AS waiting, {_CHECK} AS checks, coalesce(max(c.xid::text::bigint), 0) AS last
          FROM {_NEW.format(end=_END)}) AS w
 WHERE s.stream = %(stream)s
"""  # noqa: S608  (our own names)


def beyond(published: Snapshot, floor: int) -> dict[str, Any]:
    """The parameters for what is not in that snapshot."""
    return {"from": str(published.end), "open": list(map(str, published.open)), "floor": floor}


CHECKPOINT = "SELECT checkpoint FROM switchback.side WHERE stream = %(stream)s AND lease = %(lease)s"

SINCE = f"""
SELECT {_CHECK} FROM {_NEW.format(end=_END)}
   AND (pg_visible_in_snapshot(c.xid, %(published)s::pg_snapshot) OR c.seq <= %(published_floor)s)
"""  # noqa: S608  (our own names)

_SEEN = f"""
 FROM {_NEW.format(end="%(upto)s::text::xid8")} AND pg_visible_in_snapshot(c.xid, %(seen)s::pg_snapshot)
"""
PAGE = f"SELECT number, op::text, ms, image, seq {_SEEN} ORDER BY seq"

_LAST_STATES = """
SELECT DISTINCT ON (w.seq) w.seq, c.op::text, c.image
  FROM (SELECT seq, {key} AS key {seen} AND number = %(number)s AND seq = ANY (%(seqs)s)) AS w
  JOIN (SELECT seq, op, image, {key} AS key {seen} AND number = %(number)s) AS c
    ON c.key = w.key AND c.seq > w.seq
 ORDER BY w.seq, c.seq DESC
"""


def last_states(places: Sequence[int]) -> str:
    """What became of the rows of some entries by the end of what is read; nothing of an entry that nothing follows.

    ``places`` are those of the key's columns in an image, counted from 0.
    """
    key = ", ".join(f"image[{place + 1}]" for place in places)
    return _LAST_STATES.format(key=f"ARRAY[{key}]", seen=_SEEN)


PRUNE = """
DELETE FROM switchback.changes WHERE (xid, seq) IN
 (SELECT xid, seq FROM switchback.changes
   WHERE xid < %(below)s::text::xid8 AND number = ANY (%(numbers)s) ORDER BY xid, seq LIMIT %(limit)s)
"""

OLDEST = f"SELECT ms FROM {_NEW.format(end=_END)} ORDER BY xid, seq LIMIT 1"  # noqa: S608  (our own names)

DEPTH = "SELECT count(*) FROM (SELECT 1 FROM switchback.changes WHERE number = ANY (%s) LIMIT 1000000) AS c"

TAKE_LEASE = """
UPDATE switchback.side SET lease = greatest(lease, opened_lease) + 1
 WHERE stream = %s AND role = 'primary' RETURNING lease
"""

SAVE = "UPDATE switchback.side SET checkpoint = %s WHERE stream = %s AND lease = %s"

LOCKERS = """
SELECT a.pid, coalesce(nullif(a.application_name, ''), a.backend_type, 'no name'), a.usename, p.gid,
       extract(epoch FROM clock_timestamp() - coalesce(a.xact_start, p.prepared))::integer
  FROM pg_locks AS l
  LEFT JOIN pg_stat_activity AS a ON a.pid = l.pid
  LEFT JOIN pg_locks AS t ON l.pid IS NULL AND t.pid IS NULL AND t.virtualtransaction = l.virtualtransaction
                             AND t.locktype = 'transactionid'
  LEFT JOIN pg_prepared_xacts AS p ON p.transaction = t.transactionid
 WHERE l.relation = ANY (%s::regclass[]) AND l.granted AND l.pid IS DISTINCT FROM pg_backend_pid()
   AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
   AND l.mode IN ('RowExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock', 'ShareUpdateExclusiveLock',
                  'ExclusiveLock', 'AccessExclusiveLock')
   AND (a.pid IS NOT NULL OR p.gid IS NOT NULL)
 ORDER BY coalesce(a.xact_start, p.prepared) LIMIT 1
"""

CLOSE = """
UPDATE switchback.ledger SET lease = %s, number = %s, log_offset = %s, epoch = %s, applied_at = clock_timestamp()
 WHERE stream = %s
"""
KEEP = "UPDATE switchback.side SET checkpoint = %s WHERE stream = %s"
