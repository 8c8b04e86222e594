"""The sequences behind identity columns: what they gave out, and setting them past the data.

All tables are dealt with in three statements, for this is done while writers wait.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import psycopg
from psycopg import sql

from shared.errors import Stop
from shared.postgres.catalog import quote
from shared.tables import ROWID, Schema

_FIND = """
SELECT name, col, pg_get_serial_sequence(tab, col) FROM unnest(%s::text[], %s::text[], %s::text[]) AS t (name, tab, col)
"""


class _Counter(NamedTuple):
    """A column that a sequence fills."""

    table: str
    column: str
    sequence: str

    @property
    def highest(self) -> sql.Composed:
        return sql.SQL("coalesce((SELECT max({}) FROM {}), 0)").format(
            sql.Identifier(self.column), sql.Identifier(self.table)
        )

    @property
    def last(self) -> sql.Composed:
        return sql.SQL("coalesce(pg_sequence_last_value({}::regclass), 0)").format(sql.Literal(self.sequence))


def last_numbers(db: psycopg.Connection[Any], schema: Schema) -> dict[str, int]:
    """The last number that each table's sequence gave out, where it has one and gave out any."""
    counters = _find(db, schema)
    values = _select(db, [counter.last for counter in counters])
    return {counter.table: value for counter, value in zip(counters, values, strict=True) if value}


def raise_sequences(db: psycopg.Connection[Any], schema: Schema, given: Mapping[str, int]) -> None:
    """Set each past its table's rows, past ``given`` and never back, and see that it is; sequences do not roll back."""
    counters = _find(db, schema)
    _select(db, [_raised(counter, given.get(counter.table, 0)) for counter in counters])
    terms = [sql.SQL("greatest({}, {}) - {}").format(c.highest, given.get(c.table, 0), c.last) for c in counters]
    for counter, missing in zip(counters, _select(db, terms), strict=True):
        if missing > 0:
            where = f"table {counter.table}, sequence {counter.sequence}"
            raise Stop("the sequence does not get past the rows", where=where, remedy="Set it by hand with setval()")


def _raised(counter: _Counter, given: int) -> sql.Composed:
    highest = sql.SQL("greatest({}, {}, {})").format(counter.highest, given, counter.last)
    raised = "CASE WHEN {0} > 0 THEN setval({1}::regclass, {0}) ELSE 0 END"
    return sql.SQL(raised).format(highest, sql.Literal(counter.sequence))


def _find(db: psycopg.Connection[Any], schema: Schema) -> list[_Counter]:
    columns = {table.name: ROWID if table.key_kind == "rowid" else table.identity for table in schema.tables}
    wanted = [(name, quote(name), column) for name, column in columns.items() if column]
    if not wanted:
        return []
    rows = db.execute(_FIND, [list(part) for part in zip(*wanted, strict=True)]).fetchall()
    return [_Counter(*row) for row in rows if row[2]]


def _select(db: psycopg.Connection[Any], terms: list[sql.Composed]) -> list[int]:
    if not terms:
        return []
    row = db.execute(sql.SQL("SELECT ARRAY[{}]::bigint[]").format(sql.SQL(", ").join(terms))).fetchone()
    return [int(value) for value in row[0]] if row else []
