"""What the applier asks of a replica, whatever database it is."""

from __future__ import annotations

from typing import Protocol

from shared.errors import Hold
from shared.groups import Header, Position, Rows
from shared.tables import Schema
from sink.batch import Batch


class Unsettled(Hold):
    """A row is in another's way as things are.  What follows may mend that: the transaction goes on as it is."""


class Replica(Protocol):
    """One stream's replica, opened under a fence token of its own.

    Writes happen between ``begin`` and ``commit``; ``advance`` records the group in the ledger, in the
    same transaction.  After Retry nothing of the open transaction may be relied on: open anew.
    """

    @property
    def fallbacks(self) -> dict[str, int]:
        """How often the fast ways did not work, by which."""

    def count_refused(self) -> int | None:
        """How many statements of others met the fence, None where that cannot be known."""

    def begin(self) -> None:
        """Begin the transaction that is to hold one or more whole groups."""

    def advance(self, header: Header, position: Position, time_ms: int) -> None:
        """Write the ledger; LeaseLost where another sink has taken over, Unsettled where rows still wait."""

    def commit(self) -> None:
        """Make it all visible at once."""

    def rollback(self) -> None:
        """Undo everything since ``begin``."""

    def apply_schema(self, schema: Schema) -> None:
        """Make the tables, or see that those there will do."""

    def write_few(self, batch: Batch, header: Header, position: Position, time_ms: int) -> bool:
        """``begin``, ``write_batch`` and ``advance`` at once, where that is quicker; False if nothing was begun."""

    def write_batch(self, batch: Batch) -> None:
        """Write the outcome of some changes."""

    def copy_rows(self, piece: Rows) -> int:
        """Write a piece of a snapshot, or begin to; returns its number of rows."""

    def settle(self) -> None:
        """Wait until the pieces are written: before it, nothing else may be asked of the replica but more of them."""

    def end_chunk(self, table: str, rows: int, *, done: bool) -> None:
        """Count a snapshot chunk; with ``done`` the table's secondary indexes are made."""

    def finish(self) -> None:
        """All tables are copied: foreign keys and sequences."""
