"""The fence of a SQLite file: triggers that refuse every write to the replicated tables.

``RAISE(ABORT)`` holds under every OR clause and undoes the whole statement.  Since the triggers are part of
the file, they hold for every connection, also one that is open with statements prepared long ago: SQLite
reads the schema anew before it runs them.  A writer that began before has to end first (there is one writer
at a time), and a reader with an older view cannot become a writer.  Readers do not notice anything.

What passes: DDL, and a connection that has switched triggers off.  The sink does that; see sink.sqlite.

All functions run in the caller's write transaction, on sqlite3's connections and on apsw's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from shared.sqlite.connection import quote
from shared.sqlite.database import Database
from shared.sqlite.state import read_state, write_state

MESSAGE = "switchback: this database has moved to PostgreSQL; writes go there now"
PREFIX = "_switchback_fence_"
_EVENTS = ("INSERT", "UPDATE", "DELETE")
_STANDING = "SELECT tbl_name, name FROM main.sqlite_master WHERE type = 'trigger' AND substr(name, 1, ?) = ?"


def put_up(db: Database, names: Iterable[str]) -> None:
    """Close these tables; a fence that was there is made anew."""
    with _noted(db):
        _drop(db)
        for number, name in enumerate(names, start=1):
            for event in _EVENTS:
                trigger = quote(f"{PREFIX}{number}_{event.lower()}")
                refuse = f"BEGIN SELECT RAISE(ABORT, '{MESSAGE}'); END"
                db.execute(f"CREATE TRIGGER main.{trigger} BEFORE {event} ON {quote(name)} {refuse}")


def take_down(db: Database) -> None:
    """Open all tables again."""
    with _noted(db):
        _drop(db)


def standing_fences(db: Database) -> set[str]:
    """The tables that are closed for every kind of write."""
    count: dict[str, int] = {}
    for table, _ in _standing(db):
        count[table] = count.get(table, 0) + 1
    return {table for table, triggers in count.items() if triggers == len(_EVENTS)}


def _standing(db: Database) -> list[tuple[str, str]]:
    return [(table, name) for table, name in db.execute(_STANDING, (len(PREFIX), PREFIX)).fetchall()]


def _drop(db: Database) -> None:
    for _, name in _standing(db):
        db.execute(f"DROP TRIGGER main.{quote(name)}")


@contextmanager
def _noted(db: Database) -> Iterator[None]:
    """Our own DDL moves SQLite's schema version; where the file's notes were up to date, they stay so.

    Where they were not, somebody else has changed the schema (or vacuumed), and that must still be found.
    """
    noted = read_state(db).get("schema_version") == _version(db)
    yield
    if noted:
        write_state(db, schema_version=_version(db))


def _version(db: Database) -> str:
    return str(db.execute("PRAGMA main.schema_version").fetchone()[0])
