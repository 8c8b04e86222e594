"""A SQLite file as the replica, stepped by hand: a byte copy of a captured database, closed by its fence.

Its primary is a SQLite file too, with capture installed, whose change log tells what to write: so both
must be equal, class for class.  Between its transactions the replica holds no lock (no WAL here), so that the
test may look at the file through another library.
"""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from replay import contents, difference
from shared.groups import Change, Header, Position
from shared.sqlite import fence
from shared.sqlite.catalog import fingerprint, schema_version
from shared.sqlite.changelog import high, read_changes
from shared.sqlite.connection import connect, quote, writing
from shared.sqlite.replica_state import SqliteLedger, write_ledger, write_schema
from shared.sqlite.state import write_state
from shared.tables import Schema
from sink.batch import collapse
from sink.sqlite.replica import SqliteReplica


def note_shape(path: Path) -> None:
    """What capture notes of the file when it begins."""
    with closing(connect(path)) as db, writing(db):
        write_state(db, fingerprint=fingerprint(db), schema_version=str(schema_version(db)))


def close_file(path: Path, schema: Schema, *, seq: int = 0, attempt: str = "first") -> None:
    """What the fence of a cutover leaves behind in the file."""
    note_shape(path)
    with closing(connect(path)) as db, writing(db):
        fence.put_up(db, schema.by_name)
        write_state(db, role="replica", epoch="1", attempt=attempt)
        write_schema(db, schema)
        write_ledger(db, SqliteLedger(lease=1, number=10, offset=100, seq=seq, epoch=1))


def close_as_before(path: Path, schema: Schema) -> None:
    """The fence of versions in which it was made by the switch: triggers that refuse always."""
    with closing(connect(path)) as db, writing(db):
        fence.remove(db)
        for number, table in enumerate(schema.by_name, start=1):
            for event in ("INSERT", "UPDATE", "DELETE"):
                trigger = f'"{fence.PREFIX}{number}_{event.lower()}" BEFORE {event} ON {quote(table)}'
                db.execute(f"CREATE TRIGGER {trigger} BEGIN SELECT RAISE(ABORT, '{fence.MESSAGE}'); END")
        assert fence.closed_tables(db) == set(schema.by_name)
    note_shape(path)


def copy_closed(source: Path, path: Path, schema: Schema) -> Path:
    """A byte copy as the replica."""
    shutil.copyfile(source, path)
    close_file(path, schema)
    return path


class Follower:
    """Carries what the primary's change log says to the replica, one group a call."""

    def __init__(self, primary: sqlite3.Connection, path: Path, schema: Schema) -> None:
        self.primary, self.path, self.schema = primary, path, schema
        self.seq = high(primary)
        self.number = 10
        self.replica = SqliteReplica(path)
        self.replica.open()

    def follow(self) -> None:
        """One group with all that is new."""
        upto = high(self.primary)
        changes = read_changes(self.primary, self.schema, self.seq, upto, 1_000_000)
        self.write(changes)
        self.seq = upto

    def write(self, changes: list[Change]) -> None:
        """One group of these changes."""
        self.replica.begin()
        try:
            self.replica.write_batch(collapse(self.schema, changes))
            self.advance(len(changes))
            self.replica.commit()
        except BaseException:
            self.replica.rollback()
            raise

    def advance(self, count: int = 0) -> None:
        """One group further, in the open transaction."""
        self.number += 1
        position = Position(2, self.number, 100 + self.number)
        header = Header("s", "postgres", "w", 2, self.number, "changes", epoch=1, last_seq=count)
        self.replica.advance(header, position, 0)

    def differences(self) -> list[object]:
        """Where the replica is not as the primary, in every table, class for class."""
        with closing(connect(self.path, readonly=True)) as db:
            return difference(contents(db, self.schema), contents(self.primary, self.schema))

    def close(self) -> None:
        self.replica.close()
