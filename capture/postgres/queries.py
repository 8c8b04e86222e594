"""The SQL of capturing from PostgreSQL, and why the change log is read as it is.

Transactions commit in another order than they began to write.  So the log is read only up to the *horizon*, the
oldest transaction that is still under way: below it everything is decided, and what is read there is whole
transactions.  Within what is read the order is that of ``seq``: where two transactions changed the same row, the
one that came later had to wait for the other's end before it could write, and so has the higher ``seq``.

While writers are held there is no transaction under way that has written to a captured table, so everything can be
read, whatever else the server does.  Transactions that are under way then may write later, after the writers were
let go: they are known by their ``seq``, which is above the highest one that was read (the *floor*).  All this hangs
on the writers being held indeed, and a session can end unnoticed: so each look asks for the holder's locks, *after*
it has taken its snapshot, and counts for nothing without them.
Nor does it where our triggers are not as they were left (see ``shared.postgres.guards``): below the horizon of the same
snapshot whoever touched them has committed, so nothing that was read is behind such a hole.  Where nothing is to be
read that is left to the house-keeping: it costs a third of a millisecond with 26 tables.
"""

from __future__ import annotations

from collections.abc import Sequence

from shared.postgres.guards import GUARDS

_CHECK = "coalesce(sum(hashint8extended(c.seq, c.ms)), 0)"
"""Neither number nor time alone: a server that lost changes gives their numbers out again, but later."""

LOOK = f"""
SELECT s.role, s.lease, pg_snapshot_xmin(n.now)::text::bigint AS xmin, pg_snapshot_xmax(n.now)::text::bigint AS xmax,
       w.waiting, w.checks, w.last,
       (SELECT max(c.seq) FROM switchback.changes AS c WHERE %(held)s AND c.xid >= %(from)s::text::xid8) AS highest,
       CASE WHEN %(held)s THEN (SELECT count(*) FROM pg_locks AS l
         WHERE l.pid = %(holder)s AND l.mode = 'ShareRowExclusiveLock' AND l.granted) END AS locks,
       CASE WHEN w.waiting > 0 OR %(held)s THEN s.guards = {GUARDS} ELSE true END AS guarded
  FROM switchback.side AS s, (SELECT pg_current_snapshot() AS now) AS n, LATERAL
       (SELECT count(*) AS waiting, {_CHECK} AS checks, coalesce(max(c.xid::text::bigint), 0) AS last
          FROM switchback.changes AS c
         WHERE c.xid >= %(from)s::text::xid8 AND c.seq > %(floor)s AND c.number = ANY (%(numbers)s)
           AND (%(held)s OR c.xid < pg_snapshot_xmin(n.now))) AS w
 WHERE s.stream = %(stream)s
"""  # noqa: S608  (our own names)

SINCE_SAVED = f"""
SELECT s.horizon, s.saved,
       (SELECT {_CHECK} FROM switchback.changes AS c
         WHERE c.xid >= s.horizon::text::xid8 AND c.seq > s.floor AND c.number = ANY (%(numbers)s)
           AND (c.xid < %(from)s::text::xid8 OR c.seq <= %(floor)s)) AS since
  FROM (SELECT coalesce(nullif(j.progress ->> 'horizon', ''), '0')::bigint AS horizon,
               coalesce((j.progress ->> 'floor')::bigint, 0) AS floor,
               coalesce((j.progress ->> 'check')::bigint, 0) AS saved
          FROM (SELECT coalesce(nullif(checkpoint, '')::json, '{{}}') AS progress
                  FROM switchback.side WHERE stream = %(stream)s AND lease = %(lease)s) AS j OFFSET 0) AS s
"""  # noqa: S608  (our own names)

_DECIDED = """
 WHERE xid >= %(from)s::text::xid8 AND xid < %(upto)s::text::xid8 AND seq > %(floor)s AND seq <= %(top)s
"""
PAGE = f"""
SELECT number, op::text, ms, image, seq FROM switchback.changes {_DECIDED} AND number = ANY (%(numbers)s)
 ORDER BY seq
"""  # noqa: S608  (our own names)

_LAST_STATES = """
SELECT DISTINCT ON (w.seq) w.seq, c.op::text, c.image
  FROM (SELECT seq, {key} AS key FROM switchback.changes {decided}
           AND number = %(number)s AND seq = ANY (%(seqs)s)) AS w
  JOIN (SELECT seq, op, image, {key} AS key FROM switchback.changes {decided} AND number = %(number)s) AS c
    ON c.key = w.key AND c.seq > w.seq
 ORDER BY w.seq, c.seq DESC
"""


def last_states(places: Sequence[int]) -> str:
    """What became of the rows of some entries by the end of what is read; nothing of an entry that nothing follows.

    ``places`` are those of the key's columns in an image, counted from 0.
    """
    key = ", ".join(f"image[{place + 1}]" for place in places)
    return _LAST_STATES.format(key=f"ARRAY[{key}]", decided=_DECIDED)


PRUNE = """
DELETE FROM switchback.changes WHERE (xid, seq) IN
 (SELECT xid, seq FROM switchback.changes
   WHERE xid < %(below)s::text::xid8 AND number = ANY (%(numbers)s) ORDER BY xid, seq LIMIT %(limit)s)
"""

OLDEST = """
SELECT ms FROM switchback.changes
 WHERE xid >= %(from)s::text::xid8 AND seq > %(floor)s AND number = ANY (%(numbers)s) ORDER BY xid, seq LIMIT 1
"""

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
