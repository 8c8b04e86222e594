"""Reading and pruning the change log that the triggers write.

``seq`` is dense: SQLite gives a new row the highest number there is plus one, rollbacks take theirs
with them, and pruning never removes the highest row, so no number is given out twice.  A gap means
that this is not the history that was being read.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from shared.errors import SchemaChanged, SourceRestored
from shared.groups import Change
from shared.sqlite.connection import fetch_within
from shared.sqlite.description import list_tables, read_table
from shared.sqlite.installation import table_ids
from shared.sqlite.triggers import settle_sql
from shared.tables import Schema

PAGE_BYTES = 8_000_000
"""About how much a page of changes may hold, so that large values do not fill the memory."""

_PAGE = "SELECT * FROM _switchback_log WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?"
_SPAN = "SELECT (SELECT min(seq) FROM _switchback_log), (SELECT max(seq) FROM _switchback_log)"
_OWN_COLUMNS = 4

_RECOPY = "Take a new copy: `switchback uninstall --all`, empty the target, `switchback run`"


def high(db: sqlite3.Connection) -> int:
    """The highest seq; 0 before the first change."""
    highest: int = db.execute("SELECT coalesce(max(seq), 0) FROM _switchback_log").fetchone()[0]
    return highest


def read_changes(db: sqlite3.Connection, schema: Schema, after: int, upto: int, limit: int) -> list[Change]:
    """Changes with after < seq <= upto, ascending; at most ``limit``, fewer where values are large, one at the least.

    Raises SourceRestored where one is missing and SchemaChanged where a change is of a table, or of
    a shape of a table, that is not in ``schema``.
    """
    if after >= upto or limit <= 0:
        return []
    rows, complete = fetch_within(db, _PAGE, (after, upto, limit), PAGE_BYTES)
    _check_dense(rows, after)
    if complete and len(rows) < min(limit, upto - after):
        raise _gap(after + len(rows))
    shapes = _shapes(db, schema)
    try:
        return [Change(shapes[row[1]][0], row[2], row[0], row[3], row[4 : shapes[row[1]][1]]) for row in rows]
    except KeyError as unknown:
        raise _unknown_table(db, unknown.args[0]) from None


def prune(db: sqlite3.Connection, upto: int, limit: int) -> int:
    """Delete changes with seq <= upto, oldest first, at most ``limit``, and never the last; returns how many.

    Runs in the caller's write transaction.  No statement of the application's is running then, so
    the rows that triggers have remembered are dealt with on the way.
    """
    settle(db)
    lowest, highest = db.execute(_SPAN).fetchone()
    if lowest is None:
        return 0
    last = min(upto, highest - 1, lowest + limit - 1)
    return db.execute("DELETE FROM _switchback_log WHERE seq <= ?", (last,)).rowcount


def settle(db: sqlite3.Connection) -> int:
    """Log a delete for each remembered row that is gone after all (see ``triggers``), and forget them all.

    Runs in the caller's write transaction; returns how many deletes there were.
    """
    numbers = {abs(row[0]) for row in db.execute("SELECT DISTINCT tbl FROM _switchback_pending")}
    if not numbers:
        return 0
    before = high(db)
    existing = {row[1] for row in list_tables(db) if row[2] == "table"}
    for number, (name, columns) in table_ids(db).items():
        if number in numbers and name in existing:
            table = read_table(db, name)
            if table.names == columns:
                for sql in settle_sql(table, number):
                    db.execute(sql)
    db.execute("DELETE FROM _switchback_pending")
    return high(db) - before


def _check_dense(rows: Sequence[Sequence[Any]], after: int) -> None:
    """Numbers are unique and ascending, so the ends tell."""
    if not rows or rows[0][0] != after + 1:
        raise _gap(after)
    if rows[-1][0] != after + len(rows):
        raise _gap(next(row[0] for row, following in pairwise(rows) if following[0] != row[0] + 1))


def _gap(after: int) -> SourceRestored:
    what = f"the change log does not go on with change {after + 1}: it was restored, or rows were deleted from it"
    return SourceRestored(what, where=f"change {after}", remedy=_RECOPY)


def _shapes(db: sqlite3.Connection, schema: Schema) -> dict[int, tuple[str, int]]:
    """Table name and end of the row image for each number in the log that the schema knows."""
    known = schema.by_name
    return {
        number: (name, _OWN_COLUMNS + len(columns))
        for number, (name, columns) in table_ids(db).items()
        if name in known and known[name].names == columns
    }


def _unknown_table(db: sqlite3.Connection, number: int) -> SchemaChanged:
    name, columns = table_ids(db).get(number, (f"number {number}", ()))
    what = "the change log holds changes of a table that is not replicated in that shape"
    return SchemaChanged(what, where=f"table {name} ({', '.join(columns)})", remedy=_RECOPY)
