"""The records of the control stream: intents of the operator, answers of the daemons.

Each says who wrote it and when by that program's clock (milliseconds since 1970); nothing is decided
by these clocks, they are for people.  A record counts only where it is legal (see ``fold``).
"""

from __future__ import annotations

import time
from typing import Any

import msgspec
from msgspec import Struct

from shared.errors import Stop
from shared.groups import Position

OPERATOR, CAPTURE, SINK = "operator", "capture", "sink"


class Entry(Struct, frozen=True, kw_only=True, tag=True):
    """What all records have."""

    by: str
    at_ms: int

    @property
    def name(self) -> str:
        """The record's name, for people."""
        return type(self).__name__.lower()


class Step(Entry, frozen=True, kw_only=True):
    """A record about one attempt."""

    attempt: str


class Asked(Step, frozen=True, kw_only=True):
    """The operator asks for the epoch ``epoch``; no writer is to wait longer than ``max_pause_ms``."""

    epoch: int
    max_pause_ms: int
    rehearsal: bool = False
    who: str = ""  # user and host, for a second operator


class Held(Step, frozen=True, kw_only=True):
    """Capture holds the primary's writers; the barrier of the log stands at (lease, number, offset).

    ``sequences`` are the last numbers given out, by table; ``since_ms`` is when the hold began.
    """

    since_ms: int = 0
    lease: int
    number: int
    offset: int
    sequences: dict[str, int] = {}

    @property
    def position(self) -> Position:
        """The barrier's."""
        return Position(self.lease, self.number, self.offset)


class Drained(Step, frozen=True, kw_only=True):
    """The replica's ledger has reached the barrier."""


class Verified(Step, frozen=True, kw_only=True):
    """The operator's program saw ``keys`` keys equal on both sides, both standing still."""

    keys: int = 0


class Prepared(Step, frozen=True, kw_only=True):
    """The sink could open the replica by one COMMIT."""


class Fenced(Step, frozen=True, kw_only=True):
    """The old primary's fence is committed."""


class Opening(Step, frozen=True, kw_only=True):
    """The sink is about to open the new primary; from here on nobody can take it back."""


class Opened(Step, frozen=True, kw_only=True):
    """The new primary takes writes."""


class Aborted(Step, frozen=True, kw_only=True):
    """The attempt is given up, and why."""

    reason: str


class LetGo(Step, frozen=True, kw_only=True):
    """The primary takes writes again, as before the attempt.

    ``fence_ms`` is what putting the fence up took in a rehearsal, and what taking over takes besides.
    """

    fence_ms: int = 0


class Announced(Entry, frozen=True, kw_only=True):
    """The application was told who is primary in that epoch."""

    epoch: int


class Completed(Entry, frozen=True, kw_only=True):
    """The migration is over in that epoch: no further change of it."""

    epoch: int | None = None  # what earlier versions wrote has none


Record = (
    Asked | Held | Drained | Verified | Prepared | Fenced | Opening | Opened | Aborted | LetGo | Announced | Completed
)

_DECODER: msgspec.json.Decoder[Any] = msgspec.json.Decoder(Record)


def encode_record(record: Record) -> bytes:
    """As JSON: an operator may have to read it."""
    return msgspec.json.encode(record)


def decode_record(body: bytes) -> Record:
    """Back; Stop where it is none of ours."""
    try:
        record: Record = _DECODER.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Stop("the control stream holds a record that cannot be read", where="control stream") from error
    return record


def now_ms() -> int:
    """The clock of this program."""
    return time.time_ns() // 1_000_000
