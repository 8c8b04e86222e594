"""Databases that other people made, as replicas: changed in many places, every row the same in the end."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from replicas import Follower, copy_closed
from shared.sqlite.catalog import read_schema
from shared.sqlite.connection import connect, quote
from shared.sqlite.installation import install
from shared.tables import Table

DATA = Path(__file__).parents[2].parent / "shared" / "data"


@pytest.mark.parametrize("name", ["chinook", "northwind", "sakila"])
def test_a_database_of_other_people_follows(name: str, tmp_path: Path) -> None:
    given = DATA / f"{name}.db"
    if not given.exists():
        pytest.skip("the databases are not part of the repository and not beside it")
    path = tmp_path / "primary.db"
    shutil.copyfile(given, path)
    with closing(connect(path)) as ours, closing(sqlite3.connect(path, isolation_level=None)) as app:
        schema = read_schema(ours)
        install(ours, schema, "s")
        replica = copy_closed(path, tmp_path / "replica.db", schema)
        with closing(Follower(app, replica, schema)) as follower:
            for table in schema.tables:
                change(app, table)
            follower.follow()
            assert follower.differences() == []
            for table in reversed(schema.tables):
                app.execute(f"DELETE FROM {quote(table.name)} WHERE {key(table)} IN ({some(table)})")
                follower.follow()
            assert follower.differences() == []


def change(app: sqlite3.Connection, table: Table) -> None:
    """Update the first column that no constraint is about; put rows back that were deleted."""
    name = quote(table.name)
    keyed = {part.column for index in table.indexes if index.unique for part in index.parts} | set(table.key)
    for column in table.columns:
        if column.name not in keyed and not column.generated and not column.not_null and "DATE" not in column.declared:
            app.execute(
                f"UPDATE OR IGNORE {name} SET {quote(column.name)} = NULL WHERE {key(table)} IN ({some(table)})"
            )
    rows = app.execute(f"SELECT * FROM {name} LIMIT 50").fetchall()
    app.execute(f"DELETE FROM {name} WHERE {key(table)} IN (SELECT {key(table)} FROM {name} LIMIT 50)")
    for row in rows:
        app.execute(f"INSERT OR REPLACE INTO {name} VALUES ({', '.join('?' * len(row))})", row)


def key(table: Table) -> str:
    return quote(table.key[0]) if table.key_kind != "rowid" else table.rowid_name


def some(table: Table) -> str:
    return f"SELECT {key(table)} FROM {quote(table.name)} WHERE abs(random()) % 3 = 0"
