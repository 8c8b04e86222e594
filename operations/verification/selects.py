"""The SELECTs that read a table in PostgreSQL: a range of its rows, its keys, the rows of some keys."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import psycopg
from psycopg import sql

from operations.verification.loading import fetch
from operations.verification.view import View


class Selects:
    """The SELECTs of a table; the name of each key column is qualified and quoted."""

    def __init__(self, view: View) -> None:
        self.view = view
        table = view.table
        self._key = [_column(name) for name in table.key]
        kinds = [kind.replace("%", "%%") for kind in view.key_types]
        self._casts = [sql.SQL("%s::" + kind) for kind in kinds]
        self._arrays = [sql.SQL("%s::" + kind + "[]") for kind in kinds]
        self._select = sql.SQL("SELECT {} FROM {} AS r").format(
            sql.SQL(", ").join(map(_column, table.names)), sql.Identifier(_said(table.name))
        )
        self._table = sql.Identifier(_said(table.name))

    def range(self, *, lower: bool, upper: bool) -> sql.Composed:
        """Rows between two keys; the keys, and how many at the most, as parameters."""
        signs = [">"] * lower + ["<="] * upper
        bounds = [sql.SQL("{} " + sign + " {}").format(_row(self._key), _row(self._casts)) for sign in signs]
        where = sql.SQL(" WHERE ") + sql.SQL(" AND ").join(bounds) if bounds else sql.SQL("")
        return self._select + where + self._tail

    def keys(self, *, lower: bool) -> sql.Composed:
        """The keys behind one."""
        select = sql.SQL("SELECT {} FROM {} AS r").format(sql.SQL(", ").join(self._key), self._table)
        where = sql.SQL(" WHERE {} > {}").format(_row(self._key), _row(self._casts)) if lower else sql.SQL("")
        return select + where + self._tail

    def fetch(self, db: psycopg.Connection[Any], keys: Sequence[Sequence[Any]]) -> list[tuple[Any, ...]]:
        """The rows of these keys."""
        if not keys:
            return []
        return fetch(db, self.sought, [list(column) for column in zip(*keys, strict=True)])

    @cached_property
    def sought(self) -> sql.Composed:
        """The rows of some keys; an array a key column as parameters."""
        names = [sql.Identifier(f"k{place}") for place in range(len(self._key))]
        matches = [sql.SQL("{} = q.{}").format(mine, name) for mine, name in zip(self._key, names, strict=True)]
        return self._select + sql.SQL(" JOIN unnest({}) AS q({}) ON {}").format(
            sql.SQL(", ").join(self._arrays), sql.SQL(", ").join(names), sql.SQL(" AND ").join(matches)
        )

    @property
    def _tail(self) -> sql.Composed:
        return sql.SQL(" ORDER BY {} LIMIT %s").format(sql.SQL(", ").join(self._key))


def _said(name: str) -> str:
    """A name as it is written where parameters follow."""
    return name.replace("%", "%%")


def _column(name: str) -> sql.Identifier:
    return sql.Identifier("r", _said(name))


def _row(terms: Sequence[sql.Composable]) -> sql.Composed:
    return sql.SQL("({})").format(sql.SQL(", ").join(terms))
