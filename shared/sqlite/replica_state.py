"""What a SQLite file notes of its part in the epochs: its role, and how far it has come as a replica.

Kept in ``_switchback_state``.  All functions run in the caller's transaction, on sqlite3's connections
and on apsw's.
"""

from __future__ import annotations

import base64
from typing import cast

import msgspec

from shared import wire
from shared.control.standing import Role, Standing
from shared.errors import Stop
from shared.groups import Position
from shared.sqlite.database import Database
from shared.sqlite.state import read_state, write_state
from shared.tables import Schema


class SqliteLedger(msgspec.Struct, frozen=True):
    """The last group that the file holds as a replica; ``token`` deposes a sink that worked before.

    ``seq`` and ``incarnation`` are those of the other side's history, ``time_ms`` is its last change's.
    """

    token: int = 0
    incarnation: str = ""
    lease: int = 0
    number: int = 0
    offset: int = -1
    seq: int = 0
    time_ms: int = 0
    epoch: int = 0

    @property
    def position(self) -> Position:
        """The last group applied; number 0 where there is none yet."""
        return Position(self.lease, self.number, self.offset)

    @property
    def copied(self) -> bool:
        """The file had everything when it became a replica."""
        return True

    def moved(self, position: Position, epoch: int) -> SqliteLedger:
        """The same at another place of the spine."""
        lease, number, offset = position.parts
        return msgspec.structs.replace(self, lease=lease, number=number, offset=offset, epoch=epoch)


def read_standing(db: Database) -> Standing:
    """What the file says of itself: the primary of epoch 0 where nothing is noted."""
    state = read_state(db)
    role = state.get("role", "primary")
    return Standing(int(state.get("epoch", "0")), cast("Role", role), state.get("attempt", ""))


def encode_ledger(ledger: SqliteLedger) -> str:
    """As text."""
    return msgspec.json.encode(ledger).decode()


def decode_ledger(text: str) -> SqliteLedger:
    """From that text."""
    return msgspec.json.decode(text, type=SqliteLedger)


def read_ledger(db: Database) -> SqliteLedger | None:
    """None where the file never was a replica."""
    text = read_state(db).get("ledger")
    return decode_ledger(text) if text else None


def write_ledger(db: Database, ledger: SqliteLedger) -> None:
    """Note it."""
    write_state(db, ledger=encode_ledger(ledger))


def write_schema(db: Database, schema: Schema) -> None:
    """Note the shape by which the file is written to."""
    write_state(db, schema=base64.b64encode(wire.encode(schema)).decode())


def read_schema(db: Database) -> Schema:
    """That shape; Stop where there is none."""
    text = read_state(db).get("schema")
    if text is None:
        what = "the file does not say which tables it replicates"
        raise Stop(what, remedy="It was never closed by a cutover: run that first")
    return wire.decode_schema(base64.b64decode(text))
