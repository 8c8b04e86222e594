"""Writing the pieces of a snapshot to PostgreSQL.

Pieces go by COPY straight into the table unless rows of their key range are there already (changes may run
ahead of the snapshot), and through the staging table where that guess fails.  The COPY stays open for the pieces
that follow: PostgreSQL takes rows in while the next piece is decoded, instead of one waiting for the other.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import Any

import psycopg

from shared.groups import Rows
from sink.postgres.plan import Misfit, TablePlan
from sink.postgres.rows import FEW_ROWS, RowWriter

_UNFIT = (psycopg.DataError, TypeError, psycopg.errors.CheckViolation, psycopg.errors.NotNullViolation)
"""What psycopg or PostgreSQL says of a value that does not fit; row by row it is then named."""

_PIECES_A_COPY = 4
"""They are kept until it ends, in case that they must be written again."""

Row = tuple[Any, ...]


class _Dropped(Exception):
    """The transaction is given up."""


class PieceWriter:
    """Writes inside the caller's transaction; whatever else uses the connection must come after ``settle``."""

    def __init__(self, db: psycopg.Connection[Any], plans: Callable[[str], TablePlan], rows: RowWriter) -> None:
        self._db = db
        self._plans = plans
        self._rows = rows
        self._left: list[Rows] = []  # the pieces of a table that are not known to be written yet
        self._copy: ExitStack | None = None  # their COPY, in a savepoint
        self._write_row: Callable[[Row], None]
        self._clear = False  # whether nothing is known to stand behind the rows of that COPY

    @property
    def table(self) -> str:
        """The table of the pieces that are not known to be written yet, "" where there are none."""
        return self._left[0].table if self._left else ""

    def write(self, piece: Rows) -> int:
        """Write a piece, or begin to; returns its number of rows.  Raises Misfit, and may then be called again."""
        rows = self._convert(piece)
        if rows is None or not self._goes_on(piece):
            self.settle()
        self._left.append(piece)
        try:
            if rows is not None and (self._copy or self._begin(piece)):
                self._send(rows)
            else:
                self._write_left()
        except Misfit:
            self._left.pop()  # the caller has it still
            raise
        return len(piece.columns[0])

    def settle(self) -> None:
        """Wait until all pieces are written; raises Misfit, and may then be called again."""
        if not self._left:
            return
        copy, self._copy = self._copy, None
        if copy is None:  # a column was widened for them
            self._write_left()
            return
        try:
            copy.close()
        except psycopg.errors.UniqueViolation:
            self._rows.fallbacks["copy"] += 1
            self._rows.undone()
            self._write_left()
        except _UNFIT:
            self._rows.undone()
            self._write_left()
        else:
            self._left = []

    def drop(self) -> None:
        """Give up what is under way: the transaction is to be rolled back."""
        copy, self._copy, self._left = self._copy, None, []
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

    def _goes_on(self, piece: Rows) -> bool:
        """Whether the COPY that is open can take it."""
        return bool(self._copy) and self._clear and piece.table == self.table and len(self._left) < _PIECES_A_COPY

    def _begin(self, piece: Rows) -> bool:
        """Open a COPY for the piece; False where rows of its range are there."""
        plan = self._plans(piece.table)
        taken, self._clear = self._look(plan, piece)
        if taken:
            return False
        with ExitStack() as stack:
            stack.enter_context(self._db.transaction())
            cursor = stack.enter_context(self._db.cursor())
            copy = stack.enter_context(cursor.copy(plan.statements.copy))
            copy.set_types(plan.oids)
            self._write_row = copy.write_row
            self._copy = stack.pop_all()
        return True

    def _look(self, plan: TablePlan, piece: Rows) -> tuple[bool, bool]:
        """Whether rows are there in the piece's range, and whether none is behind it."""
        if plan.statements.range_taken is None:
            return False, True
        keys = piece.columns[plan.table.key_places[0]]
        last = max(keys)
        row = self._db.execute(plan.statements.range_taken, (min(keys), last, last)).fetchone()
        assert row
        return row[0], not row[1]

    def _send(self, rows: list[Row]) -> None:
        write = self._write_row
        try:
            for row in rows:
                write(row)
        except _UNFIT:
            left = self._left
            self.drop()
            self._left = left
            self._rows.undone()
            self._write_left()

    def _write_left(self) -> None:
        """The pieces through the staging table, or row by row where a value does not fit."""
        while self._left:
            piece = self._left[0]
            plan = self._plans(piece.table)
            if not self._write_by_stage(plan, piece):
                plan.rows_from(piece.columns)  # looks at every value, and names the one that does not fit
                for image in zip(*piece.columns, strict=True):
                    self._rows.write_image(plan, image)
            del self._left[0]

    def _write_by_stage(self, plan: TablePlan, piece: Rows) -> bool:
        trusting = len(piece.columns[0]) > FEW_ROWS  # few go by INSERT, which turns a value into the column's type
        try:
            with self._db.transaction():
                self._rows.upsert(plan, list(plan.rows_from(piece.columns, trusting=trusting)))
        except (*_UNFIT, psycopg.ProgrammingError):  # the latter for a few rows, of a value that it does not know
            self._rows.undone()
            return False
        return True
