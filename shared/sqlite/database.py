"""What our SQL needs of a connection to SQLite: sqlite3's and apsw's both have it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol


class Database(Protocol):
    """A connection in autocommit mode; its cursors know ``fetchone`` and ``fetchall``."""

    def execute(self, sql: str, params: Any = ..., /) -> Any:  # noqa: ANN401  (two drivers' cursors)
        """Run one statement."""

    def executemany(self, sql: str, params: Iterable[Any], /) -> Any:  # noqa: ANN401  (as above)
        """Run one statement for each set of values."""
