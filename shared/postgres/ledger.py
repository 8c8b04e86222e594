"""The replica's own record of what was applied: the one truth that everybody who waits must ask."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import psycopg
from psycopg.rows import class_row

from shared import wire
from shared.errors import LeaseLost
from shared.groups import Header, Position
from shared.postgres.version import bring_up, read_version
from shared.tables import Schema

DDL = files(__package__).joinpath("ledger.sql").read_text(encoding="utf-8")
_COLUMNS = "token, incarnation, lease, number, log_offset, epoch, seq, source_time_ms, copied, applied_at"
_READ = f"SELECT {_COLUMNS}, clock_timestamp() AS now FROM switchback.ledger WHERE stream = %s"  # noqa: S608
_ADD = """
INSERT INTO switchback.ledger (stream)
SELECT %s WHERE NOT EXISTS (SELECT FROM switchback.ledger WHERE stream = %s) ON CONFLICT DO NOTHING
"""
"""ON CONFLICT alone would wait for the sink that is just writing to that row, with the lock that all streams need."""
_TAKE = "UPDATE switchback.ledger SET token = token + 1 WHERE stream = %s RETURNING token"
_ADVANCE = """
UPDATE switchback.ledger
   SET incarnation = %(incarnation)s, lease = %(lease)s, number = %(number)s, log_offset = %(offset)s,
       epoch = %(epoch)s, seq = greatest(seq, %(seq)s), source_time_ms = greatest(source_time_ms, %(time)s),
       copied = copied OR %(copied)s, applied_at = clock_timestamp()
 WHERE stream = %(stream)s AND token = %(token)s AND number < %(number)s
"""


@dataclass(frozen=True, slots=True)
class Ledger:
    """A stream's row: times are the server's, ``source_time_ms`` is the last change's at the source."""

    token: int
    incarnation: str
    lease: int
    number: int
    log_offset: int
    epoch: int
    seq: int
    source_time_ms: int
    copied: bool
    applied_at: Any
    now: Any

    @property
    def position(self) -> Position:
        """The last group applied; number 0 where there is none yet."""
        return Position(self.lease, self.number, self.log_offset)


def prepare(db: psycopg.Connection[Any], stream: str) -> None:
    """Make the ledger's tables and the stream's row where they are missing, bring those of an older version up to ours.

    Stop where they are of a newer one.
    """
    bring_up(db)
    with db.transaction():
        db.execute("SELECT pg_advisory_xact_lock(hashtextextended('switchback ddl', 0))")
        if not exists(db):
            _make_schema(db)
            db.execute(DDL.encode())
        db.execute(_ADD, (stream, stream))


def _make_schema(db: psycopg.Connection[Any]) -> None:
    """CREATE SCHEMA asks for a right on the database even where the schema is there, made by somebody who had it."""
    row = db.execute("SELECT to_regnamespace('switchback') IS NULL").fetchone()
    if row and row[0]:
        db.execute("CREATE SCHEMA switchback")


def exists(db: psycopg.Connection[Any]) -> bool:
    """Whether this database has a ledger at all; Stop where a newer version made it."""
    return read_version(db) > 0


def read_ledger(db: psycopg.Connection[Any], stream: str) -> Ledger | None:
    """The stream's row, or None where no sink ever worked for it here."""
    if not exists(db):
        return None
    with db.cursor(row_factory=class_row(Ledger)) as cursor:
        return cursor.execute(_READ.encode(), (stream,)).fetchone()


def take_token(db: psycopg.Connection[Any], stream: str) -> int:
    """Depose whoever applied before and return the token to apply under."""
    row = db.execute(_TAKE, (stream,)).fetchone()
    if row is None:
        raise LeaseLost("the ledger's row is gone", where=f"stream {stream}", remedy="Start the sink again")
    return int(row[0])


def advance(  # noqa: PLR0913  (what a group leaves behind)
    db: psycopg.Connection[Any], token: int, header: Header, position: Position, time_ms: int, *, copied: bool
) -> psycopg.Cursor[Any]:
    """Record a group in the transaction that applied it; ``check_advanced`` says whether that went well."""
    values = {
        "stream": header.stream,
        "token": token,
        "incarnation": header.incarnation,
        "lease": position.lease,
        "number": position.number,
        "offset": position.offset,
        "epoch": header.epoch,
        "seq": header.last_seq,
        "time": time_ms,
        "copied": copied,
    }
    return db.execute(_ADVANCE, values)


def check_advanced(done: psycopg.Cursor[Any], header: Header, position: Position) -> None:
    """LeaseLost where another sink has taken over: then nothing of the transaction may be committed."""
    if done.rowcount != 1:
        what = "another sink has taken over this stream"
        raise LeaseLost(what, where=f"stream {header.stream}, {position}", remedy="Run one sink a stream")


def read_source_schema(db: psycopg.Connection[Any], stream: str) -> Schema | None:
    """The source's shape as the sink got it, or None before it did."""
    row = db.execute("SELECT body FROM switchback.source_schema WHERE stream = %s", (stream,)).fetchone()
    return wire.decode_schema(row[0]) if row else None


def write_source_schema(db: psycopg.Connection[Any], stream: str, schema: Schema) -> None:
    """Keep the source's shape."""
    upsert = (
        "INSERT INTO switchback.source_schema VALUES (%s, %s) ON CONFLICT (stream) DO UPDATE SET body = excluded.body"
    )
    db.execute(upsert, (stream, wire.encode(schema)))


def read_copied(db: psycopg.Connection[Any], stream: str) -> dict[str, tuple[int, bool]]:
    """Rows copied so far, and whether that is all, by table."""
    rows = db.execute("SELECT table_name, row_count, done FROM switchback.copied WHERE stream = %s", (stream,))
    return {name: (count, done) for name, count, done in rows}


def add_copied(db: psycopg.Connection[Any], stream: str, table: str, rows: int, *, done: bool) -> None:
    """Count a snapshot chunk."""
    upsert = (
        "INSERT INTO switchback.copied AS c (stream, table_name, row_count, done)"
        " VALUES (%s, %s, %s, %s) ON CONFLICT (stream, table_name)"
        " DO UPDATE SET row_count = c.row_count + excluded.row_count, done = excluded.done"
    )
    db.execute(upsert, (stream, table, rows, done))


def write_created(db: psycopg.Connection[Any], stream: str, tables: Iterable[str]) -> None:
    """Remember which tables are ours, so that their columns may be widened, and which are not."""
    update = "UPDATE switchback.copied SET created = table_name = ANY (%s) WHERE stream = %s"
    db.execute(update, (list(tables), stream))


def read_created(db: psycopg.Connection[Any], stream: str) -> set[str]:
    """The tables that we made."""
    rows = db.execute("SELECT table_name FROM switchback.copied WHERE stream = %s AND created", (stream,))
    return {name for (name,) in rows}
