"""A model of a replica: the change log replayed onto a dict, to be compared with the tables themselves."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from shared.groups import Change, Value
from shared.sqlite.catalog import read_schema
from shared.sqlite.changelog import high, read_changes
from shared.sqlite.connection import connect, fetch_rows, quote
from shared.sqlite.installation import install
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


def difference(replayed: State, real: State) -> list[object]:
    """Where the two are not the same: place, replayed row, real row."""
    places = sorted({*replayed, *real}, key=repr)
    return [(at, replayed.get(at), real.get(at)) for at in places if replayed.get(at) != real.get(at)]


class Model:
    """Follows a database: what its change log says, replayed from the moment this was made."""

    def __init__(self, db: sqlite3.Connection, schema: Schema) -> None:
        self.db, self.schema = db, schema
        self.seq = high(db)
        self.state = contents(db, schema)

    def check(self) -> None:
        """The replayed log must equal the tables now; what is new is kept only once it is committed."""
        upto = high(self.db)
        state = dict(self.state)
        replay_log(state, self.db, self.schema, self.seq, upto)
        wrong = difference(state, contents(self.db, self.schema))
        assert wrong == [], wrong
        if not self.db.in_transaction:
            self.state, self.seq = state, upto


class Captured:
    """A database with capture installed: ``app`` is the application's connection, ``ours`` Switchback's."""

    def __init__(self, path: Path, ddl: str) -> None:
        self.path = path
        self.app = sqlite3.connect(path, isolation_level=None)
        self.app.execute("PRAGMA synchronous = OFF")  # for speed: nothing here crashes
        self.app.executescript(ddl)
        self.ours = connect(path)
        self.ours.execute("PRAGMA synchronous = OFF")
        self.schema = read_schema(self.ours)
        self.installed = install(self.ours, self.schema, "s")
        self.model = Model(self.app, self.schema)
        self.seen = 0

    def run(self, *statements: str, values: Sequence[object] = ()) -> None:
        """Run the application's statements; errors pass through."""
        for sql in statements:
            self.app.execute(sql, values).fetchall()

    def fails(self, sql: str) -> str:
        """Run a statement that SQLite must refuse, and say why it did."""
        try:
            self.app.execute(sql).fetchall()
        except sqlite3.Error as error:
            return str(error)
        raise AssertionError(sql)

    def news(self) -> list[tuple[Any, ...]]:
        """The entries since the last look, each as op and row image; and the proof that they tell the truth."""
        self.model.check()
        upto = high(self.app)
        changes = read_changes(self.app, self.schema, self.seen, upto, 100_000) if upto > self.seen else []
        self.seen = upto
        return [(change.op, *change.values) for change in changes]
