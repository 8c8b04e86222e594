"""CREATE TABLE, spelled by SQLAlchemy, which takes a while to load: import this where a table is made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, MetaData, PrimaryKeyConstraint, Table, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable, Identity
from sqlalchemy.types import UserDefinedType

from shared.columns.pg_types import parse_type
from shared.tables import ROWID

_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]
_BY_BYTES = {"text", "character varying", "character"}


@dataclass(frozen=True, slots=True)
class NewColumn:
    """A column to make; ``default`` is an expression of PostgreSQL's, "" for none."""

    name: str
    pg_type: str
    default: str
    identity: bool
    nullable: bool


class _Spelled(UserDefinedType[Any]):
    """A type by its PostgreSQL name; texts sort and compare by bytes, as SQLite's do."""

    cache_ok = True

    def __init__(self, spelling: str) -> None:
        self.spelling = spelling

    def get_col_spec(self, **_options: object) -> str:
        """The words for CREATE TABLE."""
        by_bytes = parse_type(self.spelling).base in _BY_BYTES
        return f'{self.spelling} COLLATE "C"' if by_bytes else self.spelling


def spell_table(name: str, columns: Sequence[NewColumn], key: Sequence[str]) -> str:
    """The statement that makes the table.

    The column that stands for SQLite's rowid comes last: INSERT without column names is to mean the application's own.
    """
    columns = sorted(columns, key=lambda column: column.name == ROWID)
    table = Table(name, MetaData(), *map(_spell_column, columns), PrimaryKeyConstraint(*key), quote=True)
    return str(CreateTable(table).compile(dialect=_DIALECT)).replace("%%", "%")


def _spell_column(column: NewColumn) -> Column[Any]:
    given = column.default and not column.identity
    return Column(
        column.name,
        _Spelled(column.pg_type),
        *([Identity(always=False)] if column.identity else []),
        nullable=column.nullable,
        server_default=text(column.default.replace(":", r"\:")) if given else None,
        autoincrement="auto" if column.identity else False,
        quote=True,
    )
