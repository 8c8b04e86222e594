"""The sequences behind identity columns: what they gave out, and setting them past the data.

All tables are dealt with in four statements, for this is done while writers wait.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import psycopg
from psycopg import sql

from shared.errors import Stop
from shared.postgres.catalog import quote
from shared.tables import ROWID, Schema

_REMEDY = "Let it go further with ALTER SEQUENCE ... AS bigint NO MAXVALUE"

_FIND = """
SELECT name, col, seq, (SELECT seqmax FROM pg_sequence WHERE seqrelid = seq::regclass)
  FROM unnest(%s::text[], %s::text[], %s::text[]) AS t (name, tab, col), pg_get_serial_sequence(tab, col) AS seq
 WHERE seq IS NOT NULL
"""


class _Counter(NamedTuple):
    """A column that a sequence fills."""

    table: str
    column: str
    sequence: str
    limit: int

    @property
    def where(self) -> str:
        return f"table {self.table}, sequence {self.sequence}"

    @property
    def highest(self) -> sql.Composed:
        return sql.SQL("coalesce((SELECT max({}) FROM {}), 0)").format(
            sql.Identifier(self.column), sql.Identifier(self.table)
        )

    @property
    def last(self) -> sql.Composed:
        return sql.SQL("coalesce(pg_sequence_last_value({}::regclass), 0)").format(sql.Literal(self.sequence))

    def raised(self, wanted: int) -> sql.Composed:
        """Gives out what is behind that number from now on."""
        return sql.SQL("setval({}::regclass, {})").format(sql.Literal(self.sequence), wanted)


def last_numbers(db: psycopg.Connection[Any], schema: Schema) -> dict[str, int]:
    """The last number that each table's sequence gave out, where it has one and gave out any."""
    counters = _find(db, schema)
    values = _numbers(_ask(db, [counter.last for counter in counters]))
    return {counter.table: value for counter, value in zip(counters, values, strict=True) if value}


def raise_sequences(db: psycopg.Connection[Any], schema: Schema, given: Mapping[str, int]) -> None:
    """Set each past its table's rows, past ``given`` and never back, and see that it is; sequences do not roll back."""
    counters = _find(db, schema)
    found = _numbers(_ask(db, [term for counter in counters for term in (counter.highest, counter.last)]))
    behind = []
    for counter, highest, last in zip(counters, found[::2], found[1::2], strict=True):
        wanted = max(highest, given.get(counter.table, 0))
        if wanted > counter.limit:  # before any is moved
            what = f"the sequence ends at {counter.limit}, and {wanted} was given out"
            raise Stop(what, where=counter.where, remedy=_REMEDY)
        if wanted > last:
            behind.append((counter, wanted))
    with db.pipeline():
        _ask(db, [counter.raised(wanted) for counter, wanted in behind])
        now = _ask(db, [counter.last for counter, _ in behind])
    for (counter, wanted), last in zip(behind, _numbers(now), strict=True):
        if last < wanted:
            what = "the sequence does not get past the rows"
            raise Stop(what, where=counter.where, remedy="Set it by hand with setval()")


def _find(db: psycopg.Connection[Any], schema: Schema) -> list[_Counter]:
    columns = {table.name: ROWID if table.key_kind == "rowid" else table.identity for table in schema.tables}
    wanted = [(name, quote(name), column) for name, column in columns.items() if column]
    if not wanted:
        return []
    rows = db.execute(_FIND, [list(part) for part in zip(*wanted, strict=True)]).fetchall()
    return [_Counter(*row) for row in rows]


def _ask(db: psycopg.Connection[Any], terms: list[sql.Composed]) -> psycopg.Cursor[Any]:
    return db.execute(sql.SQL("SELECT ARRAY[{}]::bigint[]").format(sql.SQL(", ").join(terms)))


def _numbers(answer: psycopg.Cursor[Any]) -> list[int]:
    row = answer.fetchone()
    return [int(value) for value in row[0]] if row else []
