"""Writing rows to PostgreSQL: the fast ways, and the careful one where the fast ones cannot work.

*Few rows*: one prepared statement a row, sent in a pipeline.  *Many rows*: COPY into a staging table
and one INSERT ... SELECT ... ON CONFLICT.

A batch is written as its outcome: deletes first, then inserts and updates.  Where that meets a
constraint on the way (two rows that swapped a unique value), the batch is undone and written in two
halves, and so on down to single changes: the source went through legal states only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import psycopg
from psycopg import sql
from psycopg.types.numeric import Int8Dumper

from shared.groups import Change
from shared.postgres.connection import translated
from sink.batch import Batch, TableBatch
from sink.postgres.plan import TablePlan, show_key

FEW_ROWS = 40
"""Up to so many rows a table, single statements are quicker than a staging table."""

_FEW_STATEMENTS = 200
"""Up to so many in all, they go to the server in one pipeline with the ledger."""

_VIOLATIONS = (
    psycopg.errors.UniqueViolation,
    psycopg.errors.ForeignKeyViolation,
    psycopg.errors.CheckViolation,
    psycopg.errors.NotNullViolation,
)


class RowWriter:
    """Writes inside the caller's transaction on one connection."""

    def __init__(self, db: psycopg.Connection[Any], plans: Callable[[str], TablePlan]) -> None:
        self._db = db
        self._plans = plans
        self._staged: set[tuple[str, bool]] = set()
        self._unsure = False
        self.fallbacks = {"copy": 0, "batch": 0}
        db.adapters.register_dumper(int, Int8Dumper)

    def begin(self) -> None:
        """A new transaction: its staging tables are empty."""
        self._staged.clear()
        self._unsure = False

    def undone(self) -> None:
        """A part of the transaction was rolled back: which staging tables there are, and with what, is unknown."""
        self._staged.clear()
        self._unsure = True

    def few(self, batch: Batch) -> list[tuple[sql.Composed, tuple[Any, ...]]] | None:
        """The statements of a small batch with their values, deletes first; None where it is not small."""
        if any(len(outcome.rows) > FEW_ROWS for outcome in batch.tables.values()):
            return None
        work: list[tuple[sql.Composed, tuple[Any, ...]]] = []
        for name, outcome in batch.tables.items():
            plan = self._plans(name)
            if deletes := outcome.deletes():
                work += ((plan.statements.delete, key) for key in plan.keys(deletes))
            if upserts := outcome.upserts():
                work += ((plan.statements.upsert, row) for row in plan.rows(upserts))
        return work if len(work) <= _FEW_STATEMENTS else None

    def write_batch(self, batch: Batch) -> None:
        """Write the outcome of a batch; raises Misfit, or Hold naming the change that cannot be written."""
        try:
            with self._db.transaction():
                for name, outcome in batch.tables.items():
                    self._write_table(self._plans(name), outcome)
        except (*_VIOLATIONS, psycopg.DataError):
            self.fallbacks["batch"] += 1
            self.undone()
            with self._db.transaction():  # a part that does not fit undoes the others: all of it is written again then
                self._write_parts(batch)

    def _write_parts(self, batch: Batch) -> None:
        """Write a batch in two halves, and so on down to the single change that cannot be written, if there is one."""
        if len(batch) > 1:
            for half in batch.halves():
                self.write_batch(half)
            return
        for change, key in batch.in_order():
            self._write_change(change, key)

    def _write_table(self, plan: TablePlan, outcome: TableBatch) -> None:
        deletes, upserts = outcome.deletes(), outcome.upserts()
        if deletes and (keys := plan.keys(deletes)):
            self._delete(plan, keys)
        if upserts:
            self.upsert(plan, plan.rows(upserts))

    def _delete(self, plan: TablePlan, keys: list[tuple[Any, ...]]) -> None:
        if len(keys) <= FEW_ROWS:
            self._each(plan.statements.delete, keys)
            return
        s = plan.statements
        self._stage(plan, s.make_key_stage, s.empty_key_stage, keyed=True)
        self._copy(s.copy_key_stage, [codec.oid for codec in plan.key_codecs], keys)
        self._db.execute(s.delete_stage)

    def upsert(self, plan: TablePlan, rows: Sequence[tuple[Any, ...]]) -> None:
        """Insert the rows, or update those that are there."""
        if len(rows) <= FEW_ROWS:
            self._each(plan.statements.upsert, rows)
            return
        self._stage(plan, plan.statements.make_stage, plan.statements.empty_stage, keyed=False)
        self._copy(plan.statements.copy_stage, plan.oids, rows)
        self._db.execute(plan.statements.upsert_stage)

    def _each(self, statement: sql.Composed, rows: Sequence[tuple[Any, ...]]) -> None:
        with self._db.cursor() as cursor:
            if len(rows) == 1:
                cursor.execute(statement, rows[0])
            elif rows:
                cursor.executemany(statement, rows)

    def _stage(self, plan: TablePlan, make: sql.Composed, empty: sql.Composed, *, keyed: bool) -> None:
        """Make the staging table ready; it empties itself at commit, so only a second use in one must empty it."""
        name = (plan.table.name, keyed)
        known = name in self._staged
        if not known:
            self._db.execute(make)
        if known or self._unsure:
            self._db.execute(empty)
        self._staged.add(name)

    def _copy(self, statement: sql.Composed, oids: list[int], rows: Iterable[tuple[Any, ...]]) -> None:
        with self._db.cursor() as cursor, cursor.copy(statement) as copy:
            copy.set_types(oids)
            write = copy.write_row
            for row in rows:
                write(row)

    def _write_change(self, change: Change, key: Any) -> None:  # noqa: ANN401  (a key is any value)
        plan = self._plans(change.table)
        if change.op in "cu":
            self.write_image(plan, change.values, change.seq)
            return
        self._each(plan.statements.delete, plan.keys([key]))

    def write_image(self, plan: TablePlan, image: Sequence[Any], seq: int = 0) -> None:
        """Insert or update one row; an error names its key."""
        key = show_key([image[place] for place in plan.table.key_places])
        at = f", change {seq}" if seq else ""
        with translated(where=f"table {plan.table.name}, key {key}{at}"):
            self._db.execute(plan.statements.upsert, plan.rows([image])[0])
