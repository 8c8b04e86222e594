"""Where a demo writer connects: the one seam between the application's statements and a database.

A writer's statements are valid in SQLite and in PostgreSQL, with ``?`` for values.  What differs is
here: connecting, beginning, and above all what an error says about the transaction.  ``Refused``
means that it is certainly not there; ``Unknown`` that the commit was sent and its answer got lost.
These two are the demo application's own errors and never leave it.
"""

# ruff: noqa: D102  the protocol says what the methods of its two implementations do

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

import psycopg
from psycopg.adapt import Buffer, Dumper
from psycopg.conninfo import conninfo_to_dict

from shared.errors import BadInput

Row = tuple[Any, ...]

WAIT_SECONDS = 5.0
"""How long a statement waits for other writers before it is refused, as applications commonly have it."""

UNIQUE_VIOLATIONS = ("SQLITE_CONSTRAINT_UNIQUE", "23505")


class Refused(Exception):
    """The transaction did not happen; ``reason`` is one word, "deliberate" where the writer wanted it so."""

    def __init__(self, reason: str, text: str = "") -> None:
        self.reason = reason
        super().__init__(f"{reason}: {text}" if text else reason)


class Unknown(Exception):
    """The connection broke while the commit was on its way: it may have happened or not."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class Target(Protocol):
    """A connection to the database that the application writes to.  Every method may raise Refused."""

    @property
    def replaces(self) -> bool:
        """Whether INSERT OR REPLACE works here."""

    def run(self, sql: str, values: Sequence[object] = ()) -> list[Row]:
        """Run one statement; returns its rows, none if it gives none."""

    def begin(self) -> None:
        """Begin a transaction that will write; waits for other writers."""

    def commit(self) -> None:
        """Commit; Unknown if nobody can say whether it happened."""

    def roll_back(self) -> None:
        """Give up the transaction, if there is one; never raises."""

    def reconnect_if_lost(self) -> bool:
        """Connect again after the connection broke; False while that does not work."""

    def close(self) -> None:
        """Close the connection."""


def open_target(address: str) -> Target:
    """Connect to a SQLite file or, by a DSN, to PostgreSQL; BadInput if that fails."""
    return PostgresTarget(address) if _is_dsn(address) else SqliteTarget(Path(address))


def _is_dsn(address: str) -> bool:
    if "=" not in address:
        return address.startswith(("postgresql://", "postgres://"))
    with suppress(psycopg.ProgrammingError):  # a file's name may have a = in it too
        return bool(conninfo_to_dict(address))
    return False


class SqliteTarget:
    """A SQLite file in the journal mode in which it is found, with foreign keys on."""

    replaces = True

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._db = self._connect()
        except sqlite3.Error as error:
            raise BadInput(f"the application's database cannot be opened: {error}", where=str(path)) from error

    def _connect(self) -> sqlite3.Connection:
        address = f"file:{quote(str(self._path.absolute()))}?mode=rw"
        db = sqlite3.connect(address, timeout=WAIT_SECONDS, isolation_level=None, uri=True)
        db.execute("PRAGMA foreign_keys=ON")
        if db.execute("PRAGMA journal_mode").fetchone() == ("wal",):
            db.execute("PRAGMA synchronous=NORMAL")
        return db

    def run(self, sql: str, values: Sequence[object] = ()) -> list[Row]:
        try:
            return self._db.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise Refused(_name(error), str(error)) from error

    def begin(self) -> None:
        self.run("BEGIN IMMEDIATE")

    def commit(self) -> None:
        try:
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            if _name(error).startswith(("SQLITE_BUSY", "SQLITE_CONSTRAINT")):
                raise Refused(_name(error), str(error)) from error
            raise Unknown(_name(error)) from error

    def roll_back(self) -> None:
        with suppress(sqlite3.Error):
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")

    def reconnect_if_lost(self) -> bool:
        if not self._db.in_transaction:
            return True
        with suppress(sqlite3.Error):  # a rollback failed: only a new connection is known to be clean
            self._db.close()
            self._db = self._connect()
        return not self._db.in_transaction

    def close(self) -> None:
        self._db.close()


def _name(error: sqlite3.Error) -> str:
    return getattr(error, "sqlite_errorname", None) or type(error).__name__


_CERTAIN = ("23", "25", "40", "55", "P0")
"""Classes of PostgreSQL's error codes that say for certain that a commit did not happen."""


class PostgresTarget:
    """A PostgreSQL database; waits for locks as long as SQLite's writers wait."""

    replaces = False

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        try:
            self._db = self._connect()
        except psycopg.Error as error:
            raise BadInput("the application's PostgreSQL cannot be reached", remedy="Check the DSN.") from error

    def _connect(self) -> psycopg.Connection[Row]:
        wait = f"-c lock_timeout={int(WAIT_SECONDS * 1000)}"
        db = psycopg.connect(self._dsn, autocommit=True, application_name="demo-writer", options=wait)
        db.adapters.register_dumper(bool, _Flag)
        return db

    def run(self, sql: str, values: Sequence[object] = ()) -> list[Row]:
        try:
            cursor = self._db.execute(_translate(sql), values)
            return cursor.fetchall() if cursor.description else []
        except psycopg.Error as error:
            raise Refused(_code(error), str(error)) from error

    def begin(self) -> None:
        self.run("BEGIN")

    def commit(self) -> None:
        try:
            answer = self._db.execute("COMMIT").statusmessage
        except psycopg.Error as error:
            code = _code(error)
            if code.startswith(_CERTAIN):
                raise Refused(code, str(error)) from error
            raise Unknown(code) from error
        if answer != "COMMIT":  # PostgreSQL answers ROLLBACK, without an error, if a statement had failed
            raise Refused("rolled_back")

    def roll_back(self) -> None:
        with suppress(psycopg.Error):
            self._db.execute("ROLLBACK")

    def reconnect_if_lost(self) -> bool:
        if not self._db.closed:
            return True
        with suppress(psycopg.Error):
            self._db = self._connect()
            return True
        time.sleep(0.05)
        return False

    def close(self) -> None:
        self._db.close()


class _Flag(Dumper):
    """A bool as 1 or 0 of no type: boolean columns take it, and those that were kept as numbers do too."""

    oid = 0

    def dump(self, obj: bool) -> Buffer:  # noqa: FBT001  psycopg's signature
        return b"1" if obj else b"0"


@lru_cache(maxsize=256)
def _translate(sql: str) -> str:
    return sql.replace("%", "%%").replace("?", "%s")


def _code(error: psycopg.Error) -> str:
    return error.sqlstate or ("lost" if isinstance(error, psycopg.OperationalError) else type(error).__name__)
