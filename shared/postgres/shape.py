"""The shape of the application's tables in PostgreSQL: what the way back was made for.

It is kept when PostgreSQL becomes the primary.  A column that comes later is in no trigger: what is written there
would not go back, and nobody would be told.  Nor is a trigger told of rows that DDL changes, but it leaves traces:

* A column that was dropped and added again has another number (``attnum``).
* ALTER TABLE that writes all rows anew gives the table another TOAST table, which VACUUM FULL, CLUSTER and TRUNCATE
  do not; and whatever alters a column writes its row in the catalogue anew (``xmin``).  ALTER COLUMN TYPE does both.
  A table without one, as of numbers alone, has no such trace.  Nor has a column that was added with a default which
  its rows do not hold yet (``atthasmissing``): whatever writes the rows anew writes its row in the catalogue too.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any, NamedTuple

import psycopg

from shared.errors import SchemaChanged

_SHAPE = """
SELECT c.relname::text AS name,
       array_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod) ORDER BY a.attnum) AS columns,
       array_agg(concat_ws(' ', c.oid, a.attnum, c.reltoastrelid,
                           CASE WHEN a.atthasmissing THEN '0' ELSE a.xmin::text END)
                 ORDER BY a.attnum) AS traces
  FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
 WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p')
   AND a.attnum > 0 AND NOT a.attisdropped
 GROUP BY c.relname
"""
_TRACES = ""
"""Where the kept shape has the traces: no table has this name, so a version that knows none reads the rest."""

_KEEP = f"""
UPDATE switchback.side
   SET shape = coalesce(
       (SELECT jsonb_object_agg(name, columns) || jsonb_build_object('{_TRACES}', jsonb_object_agg(name, traces))
          FROM ({_SHAPE}) AS t)::text, '{{}}')
 WHERE stream = %s
"""  # noqa: S608  (our own names)
_KEPT = "SELECT shape FROM switchback.side WHERE stream = %s"

_COMPLETE = "or go without a way back: `switchback complete`"
_BACK = f"Take that back, {_COMPLETE}"
_WITHOUT = "A column that is added again comes without its values"
_AGAIN = (
    "Taking it back brings no values back: write its rows again, as docs/when-it-fails.md says"
    f' under "DDL changed rows", {_COMPLETE}'
)


class Trace(NamedTuple):
    """What DDL leaves behind of a column."""

    table: int
    number: int
    toast: int  # 0 where the table has none
    writer: int  # of its row in the catalogue; 0 where that says nothing


Table = dict[str, Trace | None]
"""Columns with their types, and their traces where these were kept."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Columns with their types, and traces of these, by table; a version before kept no traces."""

    columns: Mapping[str, Sequence[str]]
    traces: Mapping[str, Sequence[Trace]] = field(default_factory=dict)

    def of(self, name: str) -> Table:
        """The columns of this table in their order; none where it is not there."""
        columns = self.columns.get(name, ())
        traces = self.traces.get(name) or repeat(None, len(columns))
        return dict(zip(columns, traces, strict=True))


def read_shape(db: psycopg.Connection[Any]) -> Shape:
    """All tables of the application's schema as they are now."""
    rows = db.execute(_SHAPE).fetchall()
    return Shape({name: columns for name, columns, _ in rows}, _traces({name: traces for name, _, traces in rows}))


def keep_shape(db: psycopg.Connection[Any], stream: str) -> None:
    """Keep it, in the caller's transaction."""
    db.execute(_KEEP.encode(), (stream,))


def keep_missing_shape(db: psycopg.Connection[Any], stream: str) -> None:
    """Keep it where none is kept: an operator may take it away who wrote the rows again."""
    db.execute(_KEEP.encode() + b" AND shape = ''", (stream,))


def kept_shape(db: psycopg.Connection[Any], stream: str) -> Shape:
    """What was kept; empty where nothing was."""
    row = db.execute(_KEPT, (stream,)).fetchone()
    columns = json.loads(row[0]) if row and row[0] else {}
    traces = columns.pop(_TRACES, {})
    return Shape(columns, _traces(traces))


def _traces(read: Mapping[str, Sequence[str]]) -> dict[str, list[Trace]]:
    return {name: [Trace(*map(int, trace.split())) for trace in traces] for name, traces in read.items()}


def check_shape(kept: Shape, now: Shape, names: Iterable[str]) -> None:
    """Raises SchemaChanged where one of these tables is not what it was, or DDL has changed its rows."""
    for name in names:
        if name in kept.columns and (found := _difference(kept.of(name), now.of(name))):
            what, remedy = found
            what = f"the table was changed while PostgreSQL is the primary: {what}"
            raise SchemaChanged(what, where=f"table {name} of PostgreSQL", remedy=remedy)


def _difference(kept: Table, now: Table) -> tuple[str, str] | None:
    """It in words, and the remedy."""
    if not now:
        return "it is gone", _BACK
    came = [f"{column} came" for column in now if column not in kept]
    went = [f"{column} went" for column in kept if column not in now]
    if lost := _lost(kept, now):
        return ", ".join(came + went + lost), _AGAIN
    if came or went:
        return ", ".join(came + went), f"{_BACK}. {_WITHOUT}" if went else _BACK
    return None if list(kept) == list(now) else ("its columns have another order", _BACK)


def _lost(kept: Table, now: Table) -> list[str]:
    """Columns whose values are not those that triggers were told of, in words; none where no traces were kept.

    Of a table that was made anew ``guards`` tells.
    """
    numbers = {trace.number for trace in kept.values() if trace}
    words = []
    for column, was in kept.items():
        has = now.get(column)
        if was is None or has is None or was.table != has.table:
            continue
        if has.number not in numbers:
            words.append(f"{column} was dropped and added again")
        elif was.toast and was.toast != has.toast and was.writer not in (0, has.writer):
            words.append(f"{column} was rewritten by ALTER TABLE")
    return words
