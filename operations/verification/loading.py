"""How verification reads PostgreSQL's values: exactly, in UTC, and without giving up over one that Python cannot hold.

PostgreSQL has times that Python's datetime has not (infinity, the year 10000).  None of them can have come
from SQLite, so such a value is shown and differs; it must not end the verification.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
from psycopg import sql
from psycopg.abc import Buffer
from psycopg.adapt import AdaptersMap
from psycopg.types import datetime as times
from psycopg.types import string
from psycopg.types.json import set_json_loads

from operations.verification.findings import Foreign


def prepare(db: psycopg.Connection[Any]) -> None:
    """Times come in UTC, JSON as the text that it is."""
    db.execute("SET TimeZone = 'UTC'")
    db.execute("SET DateStyle = 'ISO'")
    set_json_loads(_as_text, db)
    db.adapters.register_loader("json", string.TextLoader)
    db.adapters.register_loader("json", string.TextBinaryLoader)


def fetch(db: psycopg.Connection[Any], query: sql.Composed, params: list[Any]) -> list[tuple[Any, ...]]:
    """All rows, in PostgreSQL's binary form; where one value cannot be loaded, once more and tolerantly."""
    try:
        return db.execute(query, params, binary=True).fetchall()
    except psycopg.DataError as error:
        if error.sqlstate:  # the server's own
            raise
    with db.cursor(binary=True) as cursor:
        tolerate(cursor.adapters)
        return cursor.execute(query, params).fetchall()


def tolerate(adapters: AdaptersMap) -> None:
    """Load what Python cannot hold as a value that is equal to nothing; slower than what fails over it."""
    adapters.register_loader("date", _TolerantDate)
    adapters.register_loader("timestamp", _TolerantTimestamp)
    adapters.register_loader("timestamptz", _TolerantTimestamptz)


def _as_text(document: str | bytes) -> str:
    return document if isinstance(document, str) else bytes(document).decode()


class _TolerantDate(times.DateBinaryLoader):
    def load(self, data: Buffer) -> Any:  # noqa: ANN401  (a date, or what is none)
        return _load(super().load, data)


class _TolerantTimestamp(times.TimestampBinaryLoader):
    def load(self, data: Buffer) -> Any:  # noqa: ANN401
        return _load(super().load, data)


class _TolerantTimestamptz(times.TimestamptzBinaryLoader):
    def load(self, data: Buffer) -> Any:  # noqa: ANN401
        return _load(super().load, data)


def _load(load: Callable[[Buffer], object], data: Buffer) -> object:
    try:
        return load(data)
    except (psycopg.DataError, ValueError, OverflowError):
        return Foreign("a time out of Python's range")
