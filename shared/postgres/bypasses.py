"""Ways to change a table that the fence and the capture triggers do not see, since both are triggers of that one table.

A partition, or a child of a table, is written and truncated without a statement trigger of its parent being asked.
Logical replication into a table fires no statement trigger at all.  And a crash of the server empties an unlogged table
without a word to anybody, while the ledger beside it stays.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import psycopg

from shared.findings import Finding

_IN_PARTS = """
SELECT n.name, CASE WHEN c.relispartition THEN 'is a partition of another one'
                    WHEN c.relkind = 'p' THEN 'is partitioned'
                    WHEN i.inhrelid = c.oid THEN 'inherits from another one'
                    ELSE 'has tables that inherit from it' END
  FROM unnest(%s::text[]) AS n (name)
  JOIN pg_class AS c ON c.oid = to_regclass(quote_ident(n.name))
  LEFT JOIN LATERAL (SELECT inhrelid FROM pg_inherits WHERE c.oid IN (inhrelid, inhparent) LIMIT 1) AS i ON true
 WHERE c.relkind = 'p' OR i.inhrelid IS NOT NULL ORDER BY 1
"""
_UNLOGGED = """
SELECT n.name FROM unnest(%s::text[]) AS n (name)
  JOIN pg_class AS c ON c.oid = to_regclass(quote_ident(n.name)) WHERE c.relpersistence <> 'p' ORDER BY 1
"""
_SUBSCRIBED = """
SELECT c.relname, coalesce((SELECT s.subname FROM pg_stat_subscription AS s WHERE s.subid = r.srsubid LIMIT 1), '?')
  FROM unnest(%s::text[]) AS n (name)
  JOIN pg_class AS c ON c.oid = to_regclass(quote_ident(n.name))
  JOIN pg_subscription_rel AS r ON r.srrelid = c.oid ORDER BY 1, 2
"""


def other_ways_in(db: psycopg.Connection[Any], names: Iterable[str]) -> list[Finding]:
    """All that is to be said of these tables, found by the search path."""
    names = list(names)
    return [*unguarded_tables(db, names), *subscribed_tables(db, names)]


def unguarded_tables(db: psycopg.Connection[Any], names: Iterable[str]) -> list[Finding]:
    """Those of the tables, found by the search path, that are or have partitions or children; that a crash empties."""
    names = list(names)
    in_parts = [
        Finding("refuse", "table-in-parts", f"the target table {how}, which is not guarded", f"table {name}", _WHOLE)
        for name, how in db.execute(_IN_PARTS, (names,))
    ]
    what = "the target table is unlogged: a crash of the server empties it"
    unlogged = [
        Finding("refuse", "table-unlogged", what, f"table {name}", "ALTER TABLE ... SET LOGGED, then verify")
        for (name,) in db.execute(_UNLOGGED, (names,))
    ]
    return [*in_parts, *unlogged]


def subscribed_tables(db: psycopg.Connection[Any], names: Iterable[str]) -> list[Finding]:
    """Those of the tables that a subscription writes to; a warning where this role may not know."""
    try:
        with db.transaction():
            found = db.execute(_SUBSCRIBED, (list(names),)).fetchall()
    except psycopg.errors.InsufficientPrivilege:
        what = "this role may not look whether a subscription writes to the target tables"
        return [Finding("warn", "subscriptions-unknown", what, remedy=_LOOK)]
    return [
        Finding(
            "refuse", "table-subscribed", f"the subscription {by} writes to the target table", f"table {name}", _TAKE
        )
        for name, by in found
    ]


_TAKE = "No trigger stops what it writes: drop the subscription, or take the table out of it"
_LOOK = "GRANT SELECT ON pg_subscription_rel, pg_stat_subscription to it, or look there as a superuser"
_WHOLE = "Make it an ordinary table, or leave it out"
