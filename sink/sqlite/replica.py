"""The replica in SQLite: one connection, one fence token, and the ledger beside the rows.

Every transaction takes the write lock first and is short, so that the application's readers are left alone.
In a file without WAL a COMMIT has to wait for them, and keeps new ones waiting meanwhile: so it waits for a
moment only, and is given up for a while where a reader stays longer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Never

from msgspec.structs import replace

from shared.control.standing import Standing
from shared.errors import LeaseLost, SourceRestored, Stop
from shared.groups import Header, Position, Rows
from shared.sqlite import fence
from shared.sqlite.connection import FileIdentity, same_file
from shared.sqlite.replica_state import (
    SqliteLedger,
    decode_ledger,
    read_ledger,
    read_schema,
    read_standing,
    write_ledger,
)
from shared.sqlite.state import read_note, read_state
from shared.tables import Schema
from sink.batch import Batch
from sink.sqlite import opening
from sink.sqlite.checkpoints import Checkpointer
from sink.sqlite.connection import connect
from sink.sqlite.errors import translated
from sink.sqlite.rows import RowWriter
from sink.sqlite.shape import Shape

_COMMIT_MS = 1_000
_RESTORED = "Was it restored from a backup? Bring the newer one back, or copy again"
_REPLACED = "Start the sink again: it goes on behind what the file that is there now holds, or says why it cannot"


class SqliteReplica:
    """Implements sink.replica.Replica and sink.opening.Replica; opening it deposes the sink that worked before."""

    def __init__(self, path: Path, busy_seconds: float = 5.0) -> None:
        self._path = path
        self._busy_ms = int(busy_seconds * 1000)
        self._identity = FileIdentity.of(path)  # before it is opened: what comes in between is found at the first look
        self._db = connect(path, busy_seconds)
        self._schema = Schema(())
        self._ledger = SqliteLedger()
        self._next = self._ledger
        self._rows: RowWriter | None = None
        self._shape: Shape | None = None
        self._prepared = ""
        self._checkpointer = Checkpointer(path)
        self._barrier = False
        self._db.set_wal_hook(self._note_pages)

    def _note_pages(self, _db: object, _name: str, pages: int) -> int:
        if not self._barrier:  # behind one, writers may wait for what follows
            self._checkpointer.told(pages)
        return 0

    def standing(self) -> Standing:
        """What the file says of itself."""
        with translated(self._path):
            return read_standing(self._db)

    def open(self) -> tuple[SqliteLedger, Schema]:
        """Take the file over; Stop where it is not a replica, or no longer the one that it was."""
        with self._writing("opening the replica"):
            self._check_replica()
            schema = read_schema(self._db)
            fence.bring_up(self._db, schema.by_name)
            shape = Shape(self._db, self._path, schema)
            shape.check()
            rows = RowWriter(self._db, self._path, schema)
            before = read_ledger(self._db) or SqliteLedger()
            ledger = replace(before, token=before.token + 1)
            write_ledger(self._db, ledger)
            self._commit("opening the replica")
        self._schema, self._shape, self._rows, self._ledger = schema, shape, rows, ledger
        if not self._checkpointer.is_alive():
            self._checkpointer.start()
        return ledger, schema

    def _check_replica(self) -> None:
        state = read_state(self._db)
        if state.get("role") != "replica" or "ledger" not in state:
            what = "the SQLite file does not say that it is a replica"
            raise SourceRestored(what, where=str(self._path), remedy=_RESTORED)

    def _check_file(self) -> None:
        """What is written to a file that the path no longer leads to is lost, and nobody would notice."""
        if not same_file(self._path, self._identity):
            what = "the SQLite file was replaced by another one while it was a replica"
            raise SourceRestored(what, where=str(self._path), remedy=_REPLACED)

    def begin(self) -> None:
        """Begin; Retry where another program holds the write lock."""
        self._check_file()
        with translated(self._path, "begin"):
            self._db.execute("BEGIN IMMEDIATE")
        with self._undoing():
            self._check_shape("begin")
        assert self._rows is not None
        self._rows.begin()

    def _check_shape(self, where: str) -> None:
        assert self._shape is not None
        with translated(self._path, where):
            self._shape.check()

    def write_few(self, _batch: Batch, _header: Header, _position: Position, _time_ms: int) -> bool:
        """Not here: there is no wire to wait for."""
        return False

    def write_batch(self, batch: Batch) -> None:
        """Write a batch."""
        assert self._rows is not None
        self._rows.write_batch(batch)

    def advance(self, header: Header, position: Position, time_ms: int) -> None:
        """Write the ledger; LeaseLost where another sink has taken over, Unsettled where rows still wait."""
        assert self._rows is not None
        self._rows.check_settled()
        with translated(self._path, f"the ledger, {position}"):
            self._check_ledger()
            seq, time_ms = max(self._ledger.seq, header.last_seq), max(self._ledger.time_ms, time_ms)
            moved = self._ledger.moved(position, header.epoch)
            self._next = replace(moved, incarnation=header.incarnation, seq=seq, time_ms=time_ms)
            write_ledger(self._db, self._next)
        self._barrier = header.kind == "barrier"

    def _check_ledger(self) -> None:
        """It must be as it was left: whoever takes over raises the token, a restored file has an older position."""
        text = read_note(self._db, "ledger")
        if text is None or decode_ledger(text) != self._ledger or read_note(self._db, "role") != "replica":
            what = "another sink has taken over this file"
            raise LeaseLost(what, where=str(self._path), remedy="Run one sink a stream")

    def commit(self) -> None:
        """Commit; Retry, and all is undone, where a reader does not let it."""
        self._commit("commit")
        self._ledger = self._next

    def _commit(self, where: str) -> None:
        self._db.set_busy_timeout(min(_COMMIT_MS, self._busy_ms))
        try:
            with self._undoing(), translated(self._path, where):
                self._db.execute("COMMIT")
        finally:
            self._db.set_busy_timeout(self._busy_ms)

    def rollback(self) -> None:
        """Roll back; some errors (disk full) have done so already."""
        if self._db.in_transaction:
            with translated(self._path, "rollback"):
                self._db.execute("ROLLBACK")

    @contextmanager
    def _undoing(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self.rollback()
            raise

    @contextmanager
    def _writing(self, where: str) -> Iterator[None]:
        """A write transaction, which the block commits."""
        self._check_file()
        with self._undoing(), translated(self._path, where):
            self._db.execute("BEGIN IMMEDIATE")
            yield

    def prepare(self, attempt: str, epoch: int, sequences: Mapping[str, int]) -> None:
        """Everything that opening needs, uncommitted; LeaseLost where another sink has taken over."""
        with self._writing("opening SQLite"):
            self._check_ledger()
            self._check_shape("opening SQLite")
            opening.open_side(self._db, self._schema, attempt, epoch, sequences, self._ledger)
        self._prepared = attempt

    def unprepare(self) -> None:
        """Roll that back."""
        if self._prepared:
            self.rollback()
        self._prepared = ""

    def open_side(self, attempt: str, epoch: int, sequences: Mapping[str, int]) -> None:
        """Open it as the new primary; Retry, to be called again, where a reader does not let it."""
        if self._prepared != attempt:
            self.unprepare()
            if self.standing() == Standing(epoch, "primary", attempt):
                return
            self.prepare(attempt, epoch, sequences)
        self._prepared = ""
        with self._undoing():
            self._check_file()
        self._commit("opening SQLite")

    @property
    def fallbacks(self) -> dict[str, int]:
        """How often the fast ways did not work, by which."""
        return self._rows.fallbacks if self._rows else {}

    def count_refused(self) -> int | None:
        """SQLite undoes what a refused statement would count."""
        return None

    def close(self) -> None:
        """Let go of the file; what is not committed is undone."""
        self._checkpointer.end()
        self._db.close(force=True)

    def apply_schema(self, schema: Schema) -> None:
        """There is no copy in this direction."""
        self._refuse_copy(str(len(schema.tables)))

    def copy_rows(self, piece: Rows) -> int:
        """There is no copy in this direction."""
        self._refuse_copy(piece.table)

    def settle(self) -> None:
        """Nothing is ever on its way."""

    def end_chunk(self, table: str, rows: int, *, done: bool) -> None:
        """There is no copy in this direction."""
        del rows, done
        self._refuse_copy(table)

    def finish(self) -> None:
        """There is no copy in this direction."""
        self._refuse_copy("the end of a copy")

    def _refuse_copy(self, what: str) -> Never:
        said = f"the log brings a copy ({what}) for the SQLite file, where everything came from"
        raise Stop(said, where=str(self._path), remedy="Use a stream name of its own for each migration")
