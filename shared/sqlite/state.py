"""Switchback's own notes inside the source: a few texts by key, kept in ``_switchback_state``.

Keys in use: ``format``, ``incarnation``, ``stream``, ``witness`` (written at installation), whatever the capture keeps
(``lease``, ``checkpoint``, ``schema_version``, ``fingerprint``, ``tables``), and the file's part in the epochs
(``role``, ``epoch``, ``attempt``, ``ledger``, ``schema``, ``opened``; see ``replica_state``).  All functions
run in the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Mapping

from shared.errors import BadInput
from shared.sqlite.database import Database
from shared.versions import as_number, check_version

FORMAT = "1"

_EXISTS = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = '_switchback_state'"
_READ = "SELECT key, value FROM _switchback_state"
_READ_ONE = "SELECT value FROM _switchback_state WHERE key = ?"
_WRITE = "REPLACE INTO _switchback_state (key, value) VALUES (?, ?)"


def read_state(db: Database) -> dict[str, str]:
    """All notes; empty where capture is not installed, Stop where a newer version wrote them."""
    if db.execute(_EXISTS).fetchone() is None:
        return {}
    state: dict[str, str] = dict(db.execute(_READ).fetchall())
    check_version("the source has notes", as_number(state.get("format", "")), int(FORMAT), "table _switchback_state")
    return state


def read_note(db: Database, key: str) -> str | None:
    """One note of a file in which capture is installed."""
    row = db.execute(_READ_ONE, (key,)).fetchone()
    return str(row[0]) if row else None


def check_stream(state: Mapping[str, str], stream: str) -> None:
    """BadInput where the file is captured for another stream; one without that note is anybody's."""
    noted = state.get("stream") or stream
    if noted != stream:
        what = f"this file is captured for stream {noted}, not {stream}"
        raise BadInput(what, remedy=f"Give --stream {noted}")


def write_state(db: Database, **items: str) -> None:
    """Add or replace notes."""
    db.executemany(_WRITE, items.items())
