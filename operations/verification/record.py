"""What verification remembers, in the replica itself: the last full pass, and one that was interrupted.

Kept in PostgreSQL, so it is gone when the replica is made anew, and whoever prepares a cutover can ask
how old the last full verification is.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Any, TypeVar

import msgspec
import psycopg
from msgspec import Struct

from operations.verification.findings import Finding
from operations.verification.passes import Cursor
from shared import wire
from shared.groups import Position
from shared.postgres.connection import translated
from shared.postgres.ledger import Ledger

DDL = files(__package__).joinpath("record.sql").read_text(encoding="utf-8")
_READ = "SELECT unfinished, verified FROM switchback.verification WHERE stream = %s"
_WRITE = """
INSERT INTO switchback.verification AS v VALUES (%s, %s, %s)
ON CONFLICT (stream) DO UPDATE SET unfinished = excluded.unfinished, verified = coalesce(excluded.verified, v.verified)
"""
_MOVE = "UPDATE switchback.verification SET verified = %s WHERE stream = %s"
_WHERE = "verification's record"
Known = TypeVar("Known", bound=Struct)


class Place(Struct, frozen=True):
    """A place in the history: a group, and the last change that it brought the replica to."""

    incarnation: str
    epoch: int
    lease: int
    number: int
    offset: int
    seq: int

    @classmethod
    def of(cls, ledger: Ledger) -> Place:
        """Where the replica stands."""
        return cls(ledger.incarnation, ledger.epoch, *ledger.position.parts, ledger.seq)

    @property
    def position(self) -> Position:
        """The group."""
        return Position(self.lease, self.number, self.offset)

    def __str__(self) -> str:
        return f"change {self.seq:,}, group {self.number:,}"


class Unfinished(Struct):
    """A full pass under way; ``version`` is the source's schema version, see ``source.Source``."""

    began_at: float
    place: Place
    version: int
    cursors: dict[str, Cursor]
    seconds: float = 0.0
    findings: list[Finding] = []
    wrong_rows: int = 0


class Verified(Struct):
    """The last full pass: every row was looked at since ``began_at``, every change up to ``place`` besides.

    Times are seconds since 1970.  ``wrong_rows`` are still known to differ; ``findings`` are the first
    of them.  ``place`` and ``looked_at`` move on with each pass over the changed keys.
    """

    began_at: float
    ended_at: float
    looked_at: float
    place: Place
    rows: int
    wrong_rows: int
    findings: list[Finding] = []

    def age(self, now: float) -> float:
        """Seconds since the pass ended."""
        return now - self.ended_at

    @property
    def equal(self) -> bool:
        """Whether nothing is known to differ."""
        return self.wrong_rows == 0


def read_record(db: psycopg.Connection[Any], stream: str) -> tuple[Unfinished | None, Verified | None]:
    """The interrupted pass and the last whole one, None where there is none."""
    with translated(where=_WHERE):
        row = db.execute(_READ, (stream,)).fetchone() if _there(db) else None
    return (_decode(row[0], Unfinished), _decode(row[1], Verified)) if row else (None, None)


def prepare_record(db: psycopg.Connection[Any]) -> None:
    """Make the table where it is missing."""
    with translated(where=_WHERE):
        if not _there(db):
            db.execute(DDL.encode())


def keep_unfinished(db: psycopg.Connection[Any], stream: str, unfinished: Unfinished | None) -> None:
    """Keep how far a full pass has come."""
    with translated(where=_WHERE):
        db.execute(_WRITE, (stream, wire.encode(unfinished) if unfinished else None, None))


def keep_verified(db: psycopg.Connection[Any], stream: str, verified: Verified) -> None:
    """Keep the outcome of a pass; no pass is unfinished then."""
    with translated(where=_WHERE):
        db.execute(_WRITE, (stream, None, wire.encode(verified)))


def move_verified(db: psycopg.Connection[Any], stream: str, verified: Verified) -> None:
    """Keep how far the keys were looked at since, unless another full pass has come to its end meanwhile."""
    last = read_record(db, stream)[1]
    if last and last.ended_at == verified.ended_at:
        with translated(where=_WHERE):
            db.execute(_MOVE, (wire.encode(verified), stream))


def _there(db: psycopg.Connection[Any]) -> bool:
    row = db.execute("SELECT to_regclass('switchback.verification') IS NOT NULL").fetchone()
    return bool(row and row[0])


def _decode(body: bytes | None, kind: type[Known]) -> Known | None:
    """None also for a record of another version: a pass then begins anew."""
    try:
        return msgspec.convert(wire.decode_any(body), kind) if body else None
    except msgspec.ValidationError:
        return None
