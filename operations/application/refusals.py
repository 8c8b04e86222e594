"""Which errors mean that the other side is the primary now, or soon; for any SQLAlchemy application."""

from __future__ import annotations

import sqlite3
from typing import Final

from sqlalchemy.exc import DBAPIError

from shared.errors import Retry

_FENCE_PREFIX: Final = "switchback:"
_FENCE_STATE: Final = "SB001"
_LOCK_STATES: Final = {"55P03", "40P01"}  # lock_timeout, deadlock: PostgreSQL has ended the transaction
_BUSY: Final = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


class Moved(Retry):
    """The database refused a write because the other side is the primary; nothing of the transaction stays.

    Begin the whole transaction anew, where the primary is now.
    """


def is_refusal(error: BaseException | None) -> bool:
    """Whether a driver's error is the fence's."""
    if error is None:
        return False
    state = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
    return state == _FENCE_STATE or str(error).startswith(_FENCE_PREFIX)


def is_lock(error: DBAPIError) -> bool:
    """Whether the statement was given up because of a lock, as is possible while writers are held."""
    state = getattr(error.orig, "sqlstate", None) or getattr(error.orig, "pgcode", None)
    return state in _LOCK_STATES or is_busy(error)


def is_busy(error: DBAPIError) -> bool:
    """SQLite's "database is locked".  At COMMIT too it means that nothing is committed yet."""
    code = getattr(error.orig, "sqlite_errorcode", None)  # the extended one: its low byte is what we know
    return isinstance(error.orig, sqlite3.OperationalError) and code is not None and code & 0xFF in _BUSY
