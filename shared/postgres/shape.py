"""The shape of the application's tables in PostgreSQL: what the way back was made for.

It is kept when PostgreSQL becomes the primary.  A column that comes later is in no trigger: what is written there
would not go back, and nobody would be told.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import psycopg

from shared.errors import SchemaChanged

_SHAPE = """
SELECT c.relname, array_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod) ORDER BY a.attnum)
  FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
 WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p')
   AND a.attnum > 0 AND NOT a.attisdropped
 GROUP BY c.relname
"""
_KEEP = f"""
UPDATE switchback.side
   SET shape = coalesce(
       (SELECT json_object_agg(name::text, columns) FROM ({_SHAPE}) AS t (name, columns))::text, '{{}}')
 WHERE stream = %s
"""  # noqa: S608  (our own names)
_KEPT = "SELECT shape FROM switchback.side WHERE stream = %s"

Shape = dict[str, list[str]]
"""Columns with their types, by table."""


def read_shape(db: psycopg.Connection[Any]) -> Shape:
    """All tables of the application's schema as they are now."""
    return dict(db.execute(_SHAPE).fetchall())


def keep_shape(db: psycopg.Connection[Any], stream: str) -> None:
    """Keep it, in the caller's transaction."""
    db.execute(_KEEP.encode(), (stream,))


def kept_shape(db: psycopg.Connection[Any], stream: str) -> Shape:
    """What was kept; empty where nothing was."""
    row = db.execute(_KEPT, (stream,)).fetchone()
    return json.loads(row[0]) if row and row[0] else {}


def check_shape(kept: Mapping[str, Sequence[str]], now: Mapping[str, Sequence[str]], names: Iterable[str]) -> None:
    """Raises SchemaChanged where one of these tables is not what it was."""
    for name in names:
        if name in kept and kept[name] != now.get(name):
            what = f"the table was changed while PostgreSQL is the primary: {_difference(kept[name], now.get(name))}"
            remedy = "Take that back, or go without a way back: `switchback complete`"
            raise SchemaChanged(what, where=f"table {name} of PostgreSQL", remedy=remedy)


def _difference(kept: Sequence[str], now: Sequence[str] | None) -> str:
    if now is None:
        return "it is gone"
    words = [f"{column} came" for column in now if column not in kept]
    words += [f"{column} went" for column in kept if column not in now]
    return ", ".join(words) or "its columns have another order"
