"""Writing the pieces of a snapshot to PostgreSQL.

A piece goes by COPY straight into the table unless rows of its key range are there already (changes may run
ahead of the snapshot), and through the staging table where that guess fails.  The COPY stays open until the
next call: PostgreSQL takes its rows in while the next piece is decoded, instead of one waiting for the other.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import Any

import psycopg

from shared.groups import Rows
from sink.postgres.plan import Misfit, TablePlan
from sink.postgres.rows import RowWriter

_UNFIT = (psycopg.DataError, TypeError)
"""What psycopg or PostgreSQL says of a value that does not fit; our own codecs then name it."""

Row = tuple[Any, ...]


class _Dropped(Exception):
    """The transaction is given up."""


class PieceWriter:
    """Writes inside the caller's transaction; whatever else uses the connection must come after ``settle``."""

    def __init__(self, db: psycopg.Connection[Any], plans: Callable[[str], TablePlan], rows: RowWriter) -> None:
        self._db = db
        self._plans = plans
        self._rows = rows
        self._left: Rows | None = None  # the piece that is not known to be written yet
        self._copy: ExitStack | None = None  # its COPY, in a savepoint

    @property
    def table(self) -> str:
        """The table of the piece that is not known to be written yet, "" where there is none."""
        return self._left.table if self._left else ""

    def write(self, piece: Rows) -> int:
        """Write a piece, or begin to; returns its number of rows.  Raises Misfit, and may then be called again."""
        rows = self._convert(piece)
        self.settle()
        self._left = piece
        plan = self._plans(piece.table)
        try:
            if rows is not None and not self._range_taken(plan, piece):
                self._begin(plan, rows)
            else:
                self._write_left(by_stage=rows is not None)
        except Misfit:
            self._left = None  # the caller has it still
            raise
        return len(piece.columns[0])

    def settle(self) -> None:
        """Wait until the last piece is written; raises Misfit, and may then be called again."""
        if self._left is None:
            return
        copy, self._copy = self._copy, None
        if copy is None:  # a column was widened for it
            self._write_left(by_stage=True)
            return
        try:
            copy.close()
        except psycopg.errors.UniqueViolation:
            self._rows.fallbacks["copy"] += 1
            self._rows.undone()
            self._write_left(by_stage=True)
        except _UNFIT:
            self._rows.undone()
            self._write_left(by_stage=False)
        else:
            self._left = None

    def drop(self) -> None:
        """Give up what is under way: the transaction is to be rolled back."""
        copy, self._copy, self._left = self._copy, None, None
        if copy is not None:
            with suppress(_Dropped), copy:
                raise _Dropped

    def _convert(self, piece: Rows) -> list[Row] | None:
        """The rows as they are written; None where they must be looked at one by one."""
        try:
            return list(self._plans(piece.table).rows_from(piece.columns, trusting=True))
        except _UNFIT:
            return None
        except Misfit:
            self.settle()  # the table is about to be altered
            raise

    def _range_taken(self, plan: TablePlan, piece: Rows) -> bool:
        if plan.statements.range_taken is None:
            return False
        keys = piece.columns[plan.table.key_places[0]]
        row = self._db.execute(plan.statements.range_taken, (min(keys), max(keys))).fetchone()
        return bool(row and row[0])

    def _begin(self, plan: TablePlan, rows: list[Row]) -> None:
        with ExitStack() as stack:
            stack.enter_context(self._db.transaction())
            cursor = stack.enter_context(self._db.cursor())
            copy = stack.enter_context(cursor.copy(plan.statements.copy))
            copy.set_types(plan.oids)
            self._copy = stack.pop_all()
        write = copy.write_row
        try:
            for row in rows:
                write(row)
        except _UNFIT:
            left = self._left
            self.drop()
            self._left = left
            self._rows.undone()
            self._write_left(by_stage=False)

    def _write_left(self, *, by_stage: bool) -> None:
        """The piece through the staging table, or row by row where a value does not fit."""
        piece = self._left
        assert piece is not None
        plan = self._plans(piece.table)
        if not (by_stage and self._write_by_stage(plan, piece)):
            plan.rows_from(piece.columns)  # looks at every value, and names the one that does not fit
            for image in zip(*piece.columns, strict=True):
                self._rows.write_image(plan, image)
        self._left = None

    def _write_by_stage(self, plan: TablePlan, piece: Rows) -> bool:
        try:
            with self._db.transaction():
                self._rows.upsert(plan, list(plan.rows_from(piece.columns, trusting=True)))
        except _UNFIT:
            self._rows.undone()
            return False
        return True
