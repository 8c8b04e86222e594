"""Sending rows through the log again: the repair of a replica that lacks them or has them wrong.

Only the source's change log feeds the replica, so a repair is a few entries more in it.  They say
what triggers would have said: a row as it is in the table *now*, or that no row has this key *now*.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Sequence

from shared.errors import BadInput, SchemaChanged
from shared.groups import Value
from shared.sqlite.connection import quote, writing
from shared.sqlite.installation import table_ids
from shared.sqlite.parameters import bindable, marks
from shared.sqlite.replica_state import read_standing
from shared.sqlite.terms import current_image, same_key
from shared.sqlite.triggers import LOG
from shared.tables import Table


def resend(db: sqlite3.Connection, table: Table, keys: Iterable[Sequence[Value]]) -> int:
    """Log the present state of the rows with those keys, in one write transaction; returns how many entries.

    It holds the source's write lock meanwhile: a thousand keys take some milliseconds.  Raises
    SchemaChanged where the table is not captured in this shape, BadInput where the file is the replica.
    """
    with writing(db):
        if read_standing(db).role == "replica":  # what is logged now would be taken for news after going back
            raise BadInput("the file was closed meanwhile: PostgreSQL is the primary", remedy="Run it again")
        numbers = [number for number, shape in table_ids(db).items() if shape == (table.name, table.names)]
        if not numbers:
            remedy = "Start capture again and let it say what changed"
            raise SchemaChanged("the table is not captured in this shape", where=f"table {table.name}", remedy=remedy)
        count, now_ms = 0, time.time_ns() // 1_000_000
        for key in keys:
            present, absent = _statements(table, numbers[-1], now_ms, marks(key))
            values = bindable(db, key)
            if db.execute(present, values).rowcount == 0:
                db.execute(absent, values)
            count += 1
        return count


def _statements(table: Table, number: int, now_ms: int, key: list[str]) -> tuple[str, str]:
    """An entry ``u`` with the row of a key, if there is one, and an entry ``d`` for a key, given as terms."""
    columns = [f'"c{place + 1}"' for place in range(len(table.columns))]
    where = same_key(table, "r", key)
    into = f'INSERT INTO {LOG} ("tbl", "op", "ms", '
    current = f"SELECT {number}, 'u', {now_ms}, {', '.join(current_image(table, 'r'))} FROM {quote(table.name)} AS r"  # noqa: S608
    keyed = [columns[place] for place in table.key_places]
    return (
        f"{into}{', '.join(columns)}) {current} WHERE {where}",
        f"{into}{', '.join(keyed)}) VALUES ({number}, 'd', {now_ms}, {', '.join(key)})",
    )
