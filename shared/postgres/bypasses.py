"""Ways into a table that the fence and the capture triggers do not see, since both are triggers of that one table.

A partition, or a child of a table, is written and truncated without a statement trigger of its parent being asked.
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


def tables_in_parts(db: psycopg.Connection[Any], names: Iterable[str]) -> list[Finding]:
    """Those of the tables, found by the search path, that are or have partitions or children."""
    return [
        Finding("refuse", "table-in-parts", f"the target table {how}, which is not guarded", f"table {name}", _WHOLE)
        for name, how in db.execute(_IN_PARTS, (list(names),))
    ]


_WHOLE = "Make it an ordinary table, or leave it out"
