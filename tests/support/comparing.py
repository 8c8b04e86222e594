"""Is the replica equal to the source?  Asked of the two databases directly, by other means than the product's own."""

from __future__ import annotations

import datetime
import decimal
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg

from traffic import Traffic


def past_the_fence(dsn: str) -> psycopg.Connection:
    """A connection that may write to a closed database, as the sink may: to make differences."""
    return psycopg.connect(dsn, autocommit=True, options="-c switchback.applying=on")


def rows_of_sqlite(path: Path, table: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path, timeout=30)) as db:
        return sorted(map(_typed, db.execute(f'SELECT * FROM "{table}"')), key=repr)


def rows_of_postgres(dsn: str, table: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(dsn) as db:
        return sorted(map(_typed, db.execute(f'SELECT * FROM "{table}"'.encode())), key=repr)


def _typed(row: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple((type(value).__name__, value) for value in map(_plain, row))


def _plain(value: Any) -> Any:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, decimal.Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, datetime.datetime | datetime.date):
        return str(value)
    return value


def assert_equal(path: Path, dsn: str, *tables: str) -> None:
    """Row for row, class for class; names the first rows that differ."""
    for table in tables:
        source, replica = rows_of_sqlite(path, table), rows_of_postgres(dsn, table)
        known, copied = set(source), set(replica)
        missing = [row for row in source if row not in copied][:3]
        extra = [row for row in replica if row not in known][:3]
        assert not missing, f"{table}: only in SQLite: {missing}"
        assert not extra, f"{table}: only in PostgreSQL: {extra}"
        assert len(source) == len(replica), f"{table}: {len(source)} rows, but {len(replica)} in PostgreSQL"


def assert_receipts(traffic: Traffic, dsn: str) -> None:
    """Each acknowledged transaction is there exactly once, each refused one nowhere."""
    with psycopg.connect(dsn) as db:
        found = [tuple(row) for row in db.execute("SELECT writer, number FROM receipt")]
    assert len(found) == len(set(found))
    assert traffic.acknowledged <= set(found), f"lost: {sorted(traffic.acknowledged - set(found))[:5]}"
    assert not traffic.refused & set(found), f"refused, but there: {sorted(traffic.refused & set(found))[:5]}"


TABLES = ("account", "item", "part", "receipt", "bulk")
