"""The version of the tables in the schema ``switchback``, which all streams of a database share.

Whoever changes these tables raises ``FORMAT`` and adds ``upgrade_to_<number>.sql``; CREATE TABLE IF NOT EXISTS alone
would leave the tables of a migration under way as they are.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import psycopg

from shared.versions import check_version

FORMAT = 3
_WITHOUT = 1  # before there was a table that says it
_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('switchback ddl', 0))"
_THERE = """
SELECT count(*) FILTER (WHERE c.relname = 'format'), count(*) FILTER (WHERE c.relname = 'copied')
  FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
 WHERE n.nspname = 'switchback' AND c.relkind = 'r'
"""
_READ = "SELECT max(version) FROM switchback.format"
_WRITE = "UPDATE switchback.format SET version = %s"
_AS_OWNER = """
SELECT set_config('role', pg_get_userbyid(nspowner), true) FROM pg_namespace WHERE nspname = 'switchback'
"""
"""What is made belongs to the schema's owner, whichever of its members makes it."""


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


def bring_up(db: psycopg.Connection[Any]) -> None:
    """Bring what an older version made up to this one's, in a transaction of its own; Stop where it is newer."""
    if read_version(db) in (0, FORMAT):
        return
    with db.transaction():
        db.execute(_LOCK)
        version = read_version(db)  # another program may have been faster
        if version < FORMAT:
            db.execute(_AS_OWNER)
        for number in range(version + 1, FORMAT + 1):
            db.execute(files(__package__).joinpath(f"upgrade_to_{number}.sql").read_bytes())
        db.execute(_WRITE, (FORMAT,))
