"""The version of the tables in the schema ``switchback``, which all streams of a database share."""

from __future__ import annotations

from typing import Any

import psycopg

from shared.versions import check_version

FORMAT = 2
_THERE = """
SELECT count(*) FILTER (WHERE c.relname = 'format'), count(*) FILTER (WHERE c.relname = 'copied')
  FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
 WHERE n.nspname = 'switchback' AND c.relkind = 'r'
"""
_READ = "SELECT max(version) FROM switchback.format"
_WRITE = "UPDATE switchback.format SET version = %s"
_WITHOUT = 1  # before there was a table that says it


def read_version(db: psycopg.Connection[Any]) -> int:
    """The version of what is there, 0 where there is nothing yet; Stop where it is newer than this program."""
    row = db.execute(_THERE).fetchone()
    noted, tables = row or (0, 0)
    if not noted:
        return _WITHOUT if tables else 0
    found = db.execute(_READ).fetchone()
    version = int(found[0]) if found and found[0] is not None else _WITHOUT
    check_version("the schema switchback in PostgreSQL is", version, FORMAT, f"database {db.info.dbname}")
    return version


def note_version(db: psycopg.Connection[Any]) -> None:
    """Write that what is there is of this program's version now, in the transaction that made it so."""
    db.execute(_WRITE, (FORMAT,))
