"""The sequences that fill keys: what they gave out, and setting them past the data.

A column owns its sequence (identity, serial), or names one in its default, which several tables may share.

All tables are dealt with in four statements, for this is done while writers wait.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import psycopg
from psycopg import sql

from shared.errors import Stop
from shared.findings import Finding
from shared.postgres.catalog import quote
from shared.tables import ROWID, Schema, Table

_REMEDY = "Let it go further with ALTER SEQUENCE ... AS bigint NO MAXVALUE"

_FIND = """
SELECT t.name, t.col, format('%%I.%%I', n.nspname, c.relname), c.oid::bigint, s.seqmax
  FROM unnest(%s::text[], %s::text[], %s::text[]) AS t (name, tab, col)
  JOIN pg_attribute AS a ON a.attrelid = to_regclass(t.tab) AND a.attname = t.col AND NOT a.attisdropped
 CROSS JOIN LATERAL (
       SELECT d.objid FROM pg_depend AS d
        WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
          AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum AND d.deptype IN ('a', 'i')
        UNION
       SELECT d.refobjid FROM pg_attrdef AS f
         JOIN pg_depend AS d ON d.classid = 'pg_attrdef'::regclass AND d.objid = f.oid
        WHERE f.adrelid = a.attrelid AND f.adnum = a.attnum AND d.refclassid = 'pg_class'::regclass) AS used (oid)
  JOIN pg_sequence AS s ON s.seqrelid = used.oid
  JOIN pg_class AS c ON c.oid = s.seqrelid
  JOIN pg_namespace AS n ON n.oid = c.relnamespace
 ORDER BY 1, 3
"""
"""Those that the column owns, and those in its default."""

_WITHHELD = """
SELECT s.oid, quote_ident(current_user) FROM unnest(%s::oid[]) AS s (oid)
 WHERE NOT (has_sequence_privilege(s.oid, 'UPDATE') AND has_sequence_privilege(s.oid, 'SELECT, USAGE'))
"""


class _Counter(NamedTuple):
    """A column that a sequence fills."""

    table: str
    column: str
    sequence: str
    oid: int
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
        return sql.SQL("coalesce(pg_sequence_last_value({}::regclass), 0)").format(sql.Literal(self.oid))

    def raised(self, wanted: int) -> sql.Composed:
        """Gives out what is behind that number from now on; never back, for a table that is not ours may share it."""
        return sql.SQL("setval({}::regclass, greatest({}, {}))").format(sql.Literal(self.oid), wanted, self.last)


def last_numbers(db: psycopg.Connection[Any], schema: Schema) -> dict[str, int]:
    """The last number that each table's sequence gave out to any table, where it has one and gave out any."""
    counters = _find(db, schema.tables)
    values = _numbers(_ask(db, [counter.last for counter in counters]))
    given: dict[str, int] = {}
    for counter, value in zip(counters, values, strict=True):
        if value > given.get(counter.table, 0):
            given[counter.table] = value
    return given


def raise_sequences(db: psycopg.Connection[Any], schema: Schema, given: Mapping[str, int]) -> None:
    """Set each past its tables' rows, past ``given`` and never back, and see that it is; sequences do not roll back."""
    counters = _find(db, schema.tables)
    found = _numbers(_ask(db, [term for counter in counters for term in (counter.highest, counter.last)]))
    behind: dict[int, tuple[_Counter, int]] = {}
    for counter, highest, last in zip(counters, found[::2], found[1::2], strict=True):
        wanted = max(highest, given.get(counter.table, 0))
        if wanted > counter.limit:  # before any is moved
            what = f"the sequence ends at {counter.limit}, and {wanted} was given out"
            raise Stop(what, where=counter.where, remedy=_REMEDY)
        if wanted > last and (counter.oid not in behind or wanted > behind[counter.oid][1]):
            behind[counter.oid] = (counter, wanted)
    with db.pipeline():
        _ask(db, [counter.raised(wanted) for counter, wanted in behind.values()])
        now = _ask(db, [counter.last for counter, _ in behind.values()])
    for (counter, wanted), last in zip(behind.values(), _numbers(now), strict=True):
        if last < wanted:
            what = "the sequence does not get past the rows"
            raise Stop(what, where=counter.where, remedy="Set it by hand with setval()")


def withheld_sequences(db: psycopg.Connection[Any], tables: Iterable[Table]) -> list[Finding]:
    """Those of the tables, found by the search path, whose sequence this role may not read and set."""
    counters = _find(db, tables)
    withheld = dict(db.execute(_WITHHELD, ([counter.oid for counter in counters],)).fetchall())
    return [
        Finding(
            "refuse",
            "sequence-withheld",
            f"this role may not read and set the sequence {counter.sequence}",
            f"table {counter.table}, column {counter.column}",
            f"As its owner: GRANT ALL ON SEQUENCE {counter.sequence} TO {withheld[counter.oid]}",
        )
        for counter in counters
        if counter.oid in withheld
    ]


def _find(db: psycopg.Connection[Any], tables: Iterable[Table]) -> list[_Counter]:
    columns = {table.name: ROWID if table.key_kind == "rowid" else table.identity for table in tables}
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
