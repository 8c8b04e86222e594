"""Opening a SQLite replica as the primary: what is done in the transaction whose COMMIT opens it."""

from __future__ import annotations

import json
from collections.abc import Mapping

import apsw

from shared.errors import Stop
from shared.sqlite import ddl, fence
from shared.sqlite.connection import quote
from shared.sqlite.database import Database
from shared.sqlite.description import stored_sql
from shared.sqlite.replica_state import SqliteLedger
from shared.sqlite.state import read_state, write_state
from shared.tables import Schema, Table

_LAST = "SELECT coalesce(max(seq), 0) FROM main.sqlite_sequence WHERE name = ?"
_REPLACE = ("DELETE FROM main.sqlite_sequence WHERE name = ?1", "INSERT INTO main.sqlite_sequence VALUES (?1, ?2)")


def open_side(  # noqa: PLR0913  (what is known of the attempt)
    db: apsw.Connection, schema: Schema, attempt: str, epoch: int, sequences: Mapping[str, int], ledger: SqliteLedger
) -> None:
    """AUTOINCREMENT past what either side gave out, the fence down, the new role; in the caller's transaction."""
    for table in schema.tables:
        if _counts(db, table):
            _raise_sequence(db, table, sequences.get(table.name, 0))
    fence.take_down(db)
    left = fence.closed_tables(db)
    if left:
        raise Stop("the fence did not come down", where=f"table {', '.join(sorted(left))}", remedy="Report this")
    lease = max(int(read_state(db).get("lease", "0")), ledger.lease)
    opened = json.dumps(ledger.position.parts)
    write_state(db, role="primary", epoch=str(epoch), attempt=attempt, opened=opened, lease=str(lease))


def _counts(db: apsw.Connection, table: Table) -> bool:
    """Whether the table has AUTOINCREMENT: without it SQLite goes on behind the highest row, and keeps no number."""
    sql = stored_sql(db, table.name, "table")
    return table.identity is not None and any(token.is_word("AUTOINCREMENT") for token in ddl.tokens(sql))


def _raise_sequence(db: apsw.Connection, table: Table, given: int) -> None:
    """Past its rows, past ``given`` and never back, and see that it is."""
    assert table.identity is not None
    highest = f"SELECT coalesce(max({quote(table.identity)}), 0) FROM main.{quote(table.name)}"  # noqa: S608
    wanted = max(given, _number(db, highest, ()), _number(db, _LAST, (table.name,)))
    if wanted:
        db.execute(_REPLACE[0], (table.name,))
        db.execute(_REPLACE[1], (table.name, wanted))
    if _number(db, _LAST, (table.name,)) < wanted:
        what = "AUTOINCREMENT does not get past the rows"
        raise Stop(what, where=f"table {table.name}", remedy="Look at sqlite_sequence in the file, and report this")


def _number(db: Database, sql: str, values: tuple[str, ...]) -> int:
    return int(db.execute(sql, values).fetchone()[0])
