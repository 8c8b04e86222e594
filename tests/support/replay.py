"""A model of a replica: the change log replayed onto a dict, to be compared with the tables themselves."""

from __future__ import annotations

import sqlite3

from shared.groups import Change, Value
from shared.sqlite.changelog import read_changes
from shared.sqlite.connection import fetch_rows, quote
from shared.tables import ROWID, Schema, Table

Exact = tuple[str, Value]
State = dict[tuple[str, tuple[Exact, ...]], tuple[Exact, ...]]


def exact(values: tuple[Value, ...]) -> tuple[Exact, ...]:
    """Values with their storage class, since 1 == 1.0 in Python."""
    return tuple((type(value).__name__, value) for value in values)


def contents(db: sqlite3.Connection, schema: Schema) -> State:
    """What the tables hold, by table and key."""
    found: State = {}
    for table in schema.tables:
        names = ", ".join(table.rowid_name if name == ROWID else quote(name) for name in table.names)
        for row in fetch_rows(db, f"SELECT {names} FROM {quote(table.name)}"):
            image = exact(row)
            found[table.name, key_of(table, image)] = image
    return found


def key_of(table: Table, image: tuple[Exact, ...]) -> tuple[Exact, ...]:
    """The key in a row image."""
    return tuple(image[place] for place in table.key_places)


def replay(state: State, schema: Schema, changes: list[Change]) -> None:
    """Apply the changes to the model as a replica would: creates and updates are upserts, deletes may be vain."""
    for change in changes:
        image = exact(tuple(change.values))
        place = (change.table, key_of(schema.table(change.table), image))
        if change.op in "cu":
            state[place] = image
        else:
            state.pop(place, None)


def replay_log(state: State, db: sqlite3.Connection, schema: Schema, after: int, upto: int) -> None:
    """Apply the change log between two numbers."""
    while after < upto:
        changes = read_changes(db, schema, after, upto, 1000)
        replay(state, schema, changes)
        after = changes[-1].seq
