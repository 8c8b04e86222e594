"""Closing and opening PostgreSQL for writers: the switch of fence and capture, sequences, and who was refused.

The fence is a statement trigger, ``ENABLE ALWAYS``, that lets only the sink pass (``PASS``).  To enable or disable
it PostgreSQL takes a lock that waits for open writers and lets readers be; DROP would wait for them too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import psycopg

from shared.postgres.guards import are_kept, keep_guards
from shared.postgres.reverse import current_schema, install, is_installed
from shared.postgres.sequences import raise_sequences
from shared.postgres.shape import keep_missing_shape, keep_shape
from shared.postgres.side import read_side, set_role
from shared.postgres.triggers import switch_sql
from shared.tables import Schema

PASS = "SET LOCAL switchback.applying = 'on'"  # noqa: S105  (no secret)
SQLSTATE = "SB001"

_OPENED = """
UPDATE switchback.side AS s
   SET opened_lease = l.lease, opened_number = l.number, opened_offset = l.log_offset,
       lease = greatest(s.lease, l.lease)
  FROM switchback.ledger AS l WHERE s.stream = %(stream)s AND l.stream = %(stream)s
"""
_REFUSED = """
SELECT n.refused, l.last / 4294967296, l.last % 4294967296, c.relname,
       a.application_name, a.usename::text, coalesce(host(a.client_addr), 'local')
  FROM (SELECT CASE WHEN is_called THEN last_value + 1 ELSE 0 END AS refused FROM switchback.refused) AS n,
       (SELECT last_value AS last FROM switchback.refused_last) AS l
  LEFT JOIN pg_class AS c ON c.oid = (l.last / 4294967296)::oid
  LEFT JOIN pg_stat_activity AS a ON a.pid = (l.last % 4294967296)
"""

_SHORT = "SET LOCAL lock_timeout = '250ms'"
"""The application's statements queue behind one that waits for a lock."""

_COUNT = "SELECT CASE WHEN is_called THEN last_value + 1 ELSE 0 END FROM switchback.refused"


def switch(db: psycopg.Connection[Any], names: Iterable[str], *, primary: bool) -> None:
    """Open the tables for writers and capture them, or close them; in the caller's transaction."""
    home = current_schema(db)
    with db.pipeline():  # one way there and back
        for name in names:
            db.execute(switch_sql(home, name, primary=primary))


def open_side(  # noqa: PLR0913  (what an attempt brings)
    db: psycopg.Connection[Any],
    stream: str,
    schema: Schema,
    attempt: str,
    epoch: int,
    sequences: Mapping[str, int],
) -> None:
    """All that makes this database the primary, in the caller's transaction, whose COMMIT opens it.

    ``sequences`` are the last numbers that the old primary gave out, by table.
    """
    if not is_installed(db, stream, schema):
        install(db, stream, schema)
    raise_sequences(db, schema, sequences)
    with db.pipeline():  # one way there and back
        _open(db, stream, schema)
        db.execute(_OPENED.encode(), {"stream": stream})
        keep_shape(db, stream)
        set_role(db, stream, role="primary", epoch=epoch, attempt=attempt)


def renew(db: psycopg.Connection[Any], stream: str, schema: Schema) -> None:
    """Make our triggers anew on the primary where none are kept, in a transaction of its own.

    So it is behind an upgrade, and where an operator asks for it because somebody touched them.  The shape likewise.
    """
    with db.transaction():
        side = read_side(db, stream, lock=True)
        if side is None or side.role != "primary":
            return
        keep_missing_shape(db, stream)
        if are_kept(db, stream):
            return
        db.execute(_SHORT)
        install(db, stream, schema)
        _open(db, stream, schema)


def _open(db: psycopg.Connection[Any], stream: str, schema: Schema) -> None:
    names = [table.name for table in schema.tables]
    switch(db, names, primary=True)
    keep_guards(db, stream, names)


@dataclass(frozen=True, slots=True)
class Refused:
    """How many statements met the fence, and whose the last one was, as far as its session is still there."""

    count: int
    table: str = ""
    pid: int = 0
    application: str = ""
    user: str = ""
    address: str = ""


def count_refused(db: psycopg.Connection[Any]) -> int:
    """How many statements were refused here, in all streams of this database."""
    row = db.execute(_COUNT).fetchone() if _is_there(db) else None
    return int(row[0]) if row else 0


def _is_there(db: psycopg.Connection[Any]) -> bool:
    found = db.execute("SELECT to_regclass('switchback.refused_last') IS NOT NULL").fetchone()
    return bool(found and found[0])


def read_refused(db: psycopg.Connection[Any]) -> Refused:
    """Who was refused here, in all streams of this database."""
    row = db.execute(_REFUSED.encode()).fetchone() if _is_there(db) else None
    if row is None or not row[0]:
        return Refused(0)
    count, _, pid, table, application, user, address = row
    return Refused(int(count), table or "", int(pid), application or "", user or "", address if user else "")
