"""Nobody is made to wait for a VACUUM or ANALYZE of the tables that are about to be opened: it ends before.

To be opened they need a lock that waits for it, while the writers wait for that.
"""

from __future__ import annotations

import time
from contextlib import closing

from operations.screen import complain, explained
from shared.postgres.connection import connect, translated
from shared.postgres.ledger import read_source_schema
from shared.postgres.maintenance import ask_to_give_way, maintained
from shared.postgres.reverse import current_schema
from shared.settings import Settings

_PATIENCE_SECONDS = 10.0
_WAITING = "PostgreSQL is vacuuming or analysing a table; it gives way, or comes to its end, before anybody waits"


def end_maintenance(settings: Settings) -> bool:
    """Wait until PostgreSQL's tables are left alone, but not for ever; whether anything was waited for."""
    waited, deadline = False, time.monotonic() + _PATIENCE_SECONDS
    dsn, application_name = settings.target.get_secret_value(), f"switchback-cutover {settings.stream}"
    with closing(connect(dsn, application_name=application_name)) as db, translated(where="the replica's tables"):
        schema, home = read_source_schema(db, settings.stream), current_schema(db)
        names = [table.name for table in schema.tables] if schema else []
        with explained(_WAITING):
            while tables := maintained(db, home, names):
                left = deadline - time.monotonic()
                if left <= 0:
                    complain(f"table {tables[0]} is still being vacuumed or analysed: the pause may be a second longer")
                    break
                ask_to_give_way(db, tables[0], left)
                waited = True
    return waited
