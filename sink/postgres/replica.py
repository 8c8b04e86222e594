"""The replica in PostgreSQL: one connection, one advisory lock, one fence token."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import count
from typing import Any, TypeVar

import psycopg

from shared.control.standing import Standing
from shared.errors import Retry
from shared.findings import Finding
from shared.groups import Header, Position, Rows
from shared.postgres import fence, ledger, reverse
from shared.postgres.connection import connect, translated
from shared.postgres.ledger import Ledger
from shared.tables import Schema
from sink.batch import Batch
from sink.postgres.indexes import drop_indexes_of_long
from sink.postgres.opening import Opener
from sink.postgres.pieces import PieceWriter
from sink.postgres.plan import Misfit, TablePlan, make_plan
from sink.postgres.rows import RowWriter
from sink.postgres.target import create_tables, finish, finish_table
from sink.postgres.widening import widen

Written = TypeVar("Written")

_LOCK = "SELECT pg_try_advisory_lock(hashtextextended('switchback sink ' || %s, 0))"
_MAY_SILENCE = "SELECT rolsuper FROM pg_roles WHERE rolname = current_user"


class PostgresReplica:
    """Implements sink.replica.Replica; opening it deposes any sink that worked before for this stream."""

    def __init__(
        self,
        dsn: str,
        stream: str,
        types: Mapping[str, str],
        existing: str,
        tell: Callable[[Finding], None] = lambda _finding: None,
    ) -> None:
        self._stream = stream
        self._types = types
        self._existing = existing
        self._plans: dict[str, TablePlan] = {}
        self._numbers = count()
        self._schema: Schema | None = None
        self._created: set[str] = set()
        self._widened = False
        self._tell = tell
        self._found: list[Finding] = []
        self.findings: list[Finding] = []
        self._token = 0
        self._db = connect(dsn, application_name=f"switchback-sink {stream}")
        self._opener = Opener(self._db, stream)
        self._rows = RowWriter(self._db, self.plan)
        self._pieces = PieceWriter(self._db, self.plan, self._rows)

    def open(self) -> tuple[Ledger, Schema | None]:
        """Take the stream over; Retry while another sink holds it."""
        with translated(where="the target's ledger"):
            got = self._db.execute(_LOCK, (self._stream,)).fetchone()
            if not got or not got[0]:
                what = "another sink is applying this stream; waiting for it to end"
                raise Retry(what, where=f"stream {self._stream}")
            ledger.prepare(self._db, self._stream)
            self._silence()
            self._token = ledger.take_token(self._db, self._stream)
            self._read_schema()
            standing = ledger.read_ledger(self._db, self._stream)
            if standing is not None and standing.copied and self._schema is not None:
                with self._db.transaction():
                    reverse.install(self._db, self._stream, self._schema)
        if standing is None:
            raise Retry("the ledger's row is gone", where=f"stream {self._stream}")
        return standing, self._schema

    def _read_schema(self) -> None:
        self._schema = ledger.read_source_schema(self._db, self._stream)
        self._created = ledger.read_created(self._db, self._stream)

    def _silence(self) -> None:
        """Triggers and cascades ran at the source already and their effects are in the log."""
        try:
            self._db.execute("SET session_replication_role = replica")
        except psycopg.errors.InsufficientPrivilege:
            self.silenced = False
        else:
            self.silenced = True

    def count_refused(self) -> int | None:
        """How many statements met the fence."""
        with translated(where="the fence"):
            return fence.count_refused(self._db)

    def begin(self) -> None:
        """Begin."""
        with translated(where="begin"), self._db.pipeline():
            self._begin()
        self._rows.begin()

    def _begin(self) -> None:
        self._db.execute("BEGIN")
        self._db.execute(fence.PASS)
        if not self.silenced:
            self._db.execute("SET CONSTRAINTS ALL DEFERRED")

    def advance(self, header: Header, position: Position, time_ms: int) -> None:
        """Write the ledger."""
        copied = header.kind == "barrier" and header.meta.get("purpose") == "copied"
        with translated(where=f"the ledger, {position}"):
            done = ledger.advance(self._db, self._token, header, position, time_ms, copied=copied)
            ledger.check_advanced(done, header, position)

    def commit(self) -> None:
        """Commit; where the answer is lost, the ledger tells."""
        with translated(where="commit"):
            self._db.execute("COMMIT")
        self._widened = False
        found, self._found = self._found, []
        self.findings += found
        for finding in found:
            self._tell(finding)

    def rollback(self) -> None:
        """Roll back."""
        with translated(where="rollback"):
            self._pieces.drop()
            self._db.execute("ROLLBACK")
            if self._widened:
                self._read_schema()
                self._plans.clear()
        self._widened = False
        self._found.clear()

    def apply_schema(self, schema: Schema) -> None:
        """Create or adopt the tables and keep the schema."""
        with translated(where="the target's tables"):
            self._created, found = create_tables(self._db, schema, self._types, self._existing)
            ledger.write_source_schema(self._db, self._stream, schema)
            for table in schema.tables:
                ledger.add_copied(self._db, self._stream, table.name, 0, done=False)
            ledger.write_created(self._db, self._stream, self._created)
        self._found += found
        self._schema = schema
        self._plans.clear()

    def write_few(self, batch: Batch, header: Header, position: Position, time_ms: int) -> bool:
        """A small batch in one pipeline; whatever goes wrong is met again, and named, on the careful way."""
        with translated(where=f"tables {', '.join(batch.tables)}"):
            try:
                work = self._rows.few(batch)
            except Misfit:
                return False
            if work is None:
                return False
            try:
                with self._db.pipeline():
                    self._begin()
                    for statement, row in work:
                        self._db.execute(statement, row)
                    done = ledger.advance(self._db, self._token, header, position, time_ms, copied=False)
            except psycopg.Error:
                if self._db.closed:
                    raise
                self._undo_pipeline()
                return False
            ledger.check_advanced(done, header, position)
        return True

    def _undo_pipeline(self) -> None:
        """Roll back; what psycopg prepared behind the error in the pipeline never came about, so it must forget it."""
        self._db.execute("ROLLBACK")
        with self._db.transaction(force_rollback=True):
            pass

    def write_batch(self, batch: Batch) -> None:
        """Write a batch."""
        with translated(where=f"tables {', '.join(batch.tables)}"):
            try:
                self._fitting(lambda: self._rows.write_batch(batch))
            except psycopg.errors.ProgramLimitExceeded:
                if not self._drop_indexes(batch):
                    raise
                self._fitting(lambda: self._rows.write_batch(batch))

    def _drop_indexes(self, batch: Batch) -> list[Finding]:
        """Those of our tables that cannot take a long value of the batch: an index must not stop the stream."""
        self._rows.undone()
        ours = {name: outcome.upserts() for name, outcome in batch.tables.items() if name in self._created}
        found = [f for name, rows in ours.items() for f in drop_indexes_of_long(self._db, self._table(name), rows)]
        self._found += found
        return found

    def copy_rows(self, piece: Rows) -> int:
        """Write a snapshot piece, or begin to."""
        with translated(where=f"table {piece.table}"):
            return self._fitting(lambda: self._pieces.write(piece))

    def _fitting(self, write: Callable[[], Written]) -> Written:
        """Write; as long as a value does not fit a column that is ours, widen the column and write again."""
        while True:
            try:
                return write()
            except Misfit as misfit:
                if misfit.plan.table.name not in self._created:
                    raise misfit.hold from misfit
                self._widen(misfit)

    def _widen(self, misfit: Misfit) -> None:
        assert self._schema is not None
        self._widened = True
        self._rows.undone()
        done = widen(self._db, misfit)
        tables = tuple(done.table if table.name == done.table.name else table for table in self._schema.tables)
        self._schema = Schema(tables)
        ledger.write_source_schema(self._db, self._stream, self._schema)
        self._plans.pop(done.table.name, None)
        self._found += done.findings

    def settle(self) -> None:
        """Wait until the pieces are written."""
        if table := self._pieces.table:
            with translated(where=f"table {table}"):
                self._fitting(self._pieces.settle)

    def end_chunk(self, table: str, rows: int, *, done: bool) -> None:
        """Count the chunk; make the indexes behind the last one."""
        self.settle()
        with translated(where=f"table {table}"):
            ledger.add_copied(self._db, self._stream, table, rows, done=done)
            if done and table in self._created:
                self._found += finish_table(self._db, self._table(table))

    def finish(self) -> None:
        """Foreign keys and sequences."""
        if self._schema is not None:
            with translated(where="foreign keys and sequences"):
                self._found += finish(self._db, self._schema, self._created)
                reverse.install(self._db, self._stream, self._schema)

    def standing(self) -> Standing:
        """What the database says of itself."""
        return self._opener.standing()

    def prepare(self, attempt: str, epoch: int, sequences: Mapping[str, int]) -> None:
        """Everything that opening needs, uncommitted."""
        assert self._schema is not None
        self._opener.prepare(self._schema, self._token, attempt, epoch, sequences)

    def unprepare(self) -> None:
        """Roll that back."""
        self._opener.unprepare()

    def open_side(self, attempt: str, epoch: int, sequences: Mapping[str, int]) -> None:
        """Open it as the new primary."""
        assert self._schema is not None
        self._opener.commit(self._schema, self._token, attempt, epoch, sequences)

    @property
    def fallbacks(self) -> dict[str, int]:
        """How often the fast ways did not work, by which."""
        return self._rows.fallbacks

    def close(self) -> None:
        """Let go of the connection, and with it of the lock."""
        self._db.close()

    def _table(self, name: str) -> Any:  # noqa: ANN401
        return self._schema.table(name) if self._schema else None

    def plan(self, name: str) -> TablePlan:
        """How a table is written."""
        plan = self._plans.get(name)
        if plan is None:
            plan = self._plans[name] = make_plan(self._db, self._table(name), next(self._numbers))
        return plan
