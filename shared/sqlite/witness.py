"""A view that is younger than every capture trigger, and so tells of triggers that were made again behind our back.

Tools that switch triggers off, or rebuild a table, save the triggers' texts, drop them and make them again.
Afterwards they are what they were, and what was written in between is not logged.  SQLite gives a new object
the number behind the highest in ``sqlite_master``, so a trigger that was made again has the view before it.
It is a view because such tools take away triggers and what belongs to a table, and VACUUM, which gives out
new numbers, puts tables and indexes first but keeps triggers and views in their order.

All functions run in the caller's transaction.
"""

from __future__ import annotations

from shared.sqlite.database import Database
from shared.sqlite.state import read_note, write_state

NAME = "_switchback_youngest"
_EXISTS = "SELECT 1 FROM sqlite_master WHERE type = 'view' AND name = ?"
_YOUNGER = (
    "SELECT name FROM sqlite_master WHERE type = 'trigger'"
    " AND rowid > (SELECT rowid FROM sqlite_master WHERE type = 'view' AND name = ?)"
)


def stands(db: Database) -> bool:
    """Whether the view is there."""
    return db.execute(_EXISTS, (NAME,)).fetchone() is not None


def is_missed(db: Database) -> bool:
    """Whether the view was taken away; installations made before there was one have none."""
    return not stands(db) and read_note(db, "witness") is not None


def younger_triggers(db: Database) -> set[str]:
    """The triggers that were made after the view, whosever they are."""
    return {name for (name,) in db.execute(_YOUNGER, (NAME,)).fetchall()}


def put_last(db: Database) -> None:
    """Make the view, or make it anew as the youngest."""
    db.execute(f'DROP VIEW IF EXISTS main."{NAME}"')
    db.execute(f'CREATE VIEW main."{NAME}" AS SELECT 1 AS "one"')
    write_state(db, witness="1")
