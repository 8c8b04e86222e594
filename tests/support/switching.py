"""An application that follows the primary: writers that keep an account of what was acknowledged, on either side.

The bank of ``traffic``, spoken to in both dialects.  A writer that meets the fence looks at the other side and
tries its transaction there; nothing is acknowledged but by a COMMIT that came back.  A transaction leaves one row in
``receipt`` and raises one counter in ``bulk`` by one: what is lost, doubled or made by nobody shows in the one or the
other.
"""

from __future__ import annotations

import random
import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

import psycopg

from background import Background
from comparing import TABLES, assert_equal
from daemons import wait_until
from traffic import ACCOUNTS, TOTAL

FENCE = "switchback:"
_SQLITE_UPSERT = "INSERT OR REPLACE INTO item (id, code, price, body, note) VALUES (?, ?, ?, ?, ?)"
_PROBE = "UPDATE account SET owner = owner WHERE id = 0"
_RECEIPTS = "SELECT writer, number FROM receipt"
_COUNTERS = "SELECT sum(a) FROM bulk"
_BALANCES = "SELECT sum(balance) FROM account"
_ONE_AT_A_TIME = "SELECT pg_advisory_xact_lock(7)"  # as SQLite's writers, and no deadlocks
_POSTGRES_ROOM = "DELETE FROM item WHERE id = %s OR code = %s"
_POSTGRES_INSERT = "INSERT INTO item (id, code, price, body, note) VALUES (%s, %s, %s, %s, %s)"


class Refused(Exception):
    """The side is closed, or cannot be reached just now: the transaction was not made."""


class Unanswered(Refused):
    """The connection broke, and nobody could be asked for long: the transaction may have been made or not."""


class SqliteSide:
    """The bank in SQLite."""

    name = "sqlite"

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, timeout=15, isolation_level=None)
        self._db.execute("PRAGMA foreign_keys=ON")

    def transact(self, choose: random.Random, writer: int, number: int) -> None:
        """One transaction, acknowledged when this returns."""
        db = self._db
        try:
            db.execute("BEGIN IMMEDIATE")
            db.execute("INSERT INTO receipt VALUES (?, ?, ?)", (writer, number, f"receipt {number}"))
            one, other, sum_ = choose.randrange(ACCOUNTS), choose.randrange(ACCOUNTS), choose.randrange(50)
            db.execute("UPDATE account SET balance = balance - ? WHERE id = ?", (sum_, one))
            db.execute("UPDATE account SET balance = balance + ? WHERE id = ?", (sum_, other))
            item = (choose.randrange(40), f"code {choose.randrange(30)}")
            db.execute(_SQLITE_UPSERT, (*item, choose.random(), choose.randbytes(20), "note"))
            for line in range(3):
                db.execute("INSERT OR REPLACE INTO part VALUES (?, ?, ?)", (item[0], line, f"line {line}"))
            db.execute("DELETE FROM item WHERE id = ?", (choose.randrange(40),))
            db.execute("UPDATE bulk SET a = a + 1 WHERE id = ?", (choose.randrange(2_000),))
            db.execute("COMMIT")
        except sqlite3.Error as error:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise Refused(str(error)) from error

    def probe(self) -> None:
        """A write that is taken back at once; Refused where the side is closed."""
        try:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute(_PROBE)
        except sqlite3.Error as error:
            raise Refused(str(error)) from error
        finally:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")

    def has(self, writer: int, number: int) -> bool:
        """Whether the receipt is there."""
        sql = "SELECT 1 FROM receipt WHERE writer = ? AND number = ?"
        return self._db.execute(sql, (writer, number)).fetchone() is not None

    def read(self, sql: str) -> list[tuple[Any, ...]]:
        return self._db.execute(sql).fetchall()

    def close(self) -> None:
        self._db.close()


class PostgresSide:
    """The bank in PostgreSQL."""

    name = "postgres"

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._connection: psycopg.Connection | None = None

    @property
    def _db(self) -> psycopg.Connection:
        if self._connection is None or self._connection.closed:
            self._connection = psycopg.connect(self._dsn, autocommit=True, connect_timeout=5)
        return self._connection

    def transact(self, choose: random.Random, writer: int, number: int) -> None:
        """One transaction, acknowledged when this returns."""
        try:
            self._transact(self._db, choose, writer, number)
        except psycopg.Error as error:
            if not self._answers() and self._came_through(writer, number):
                return
            raise Refused(str(error)) from error

    def _transact(self, db: psycopg.Connection, choose: random.Random, writer: int, number: int) -> None:
        with db.transaction():
            one, other, sum_ = choose.randrange(ACCOUNTS), choose.randrange(ACCOUNTS), choose.randrange(50)
            item = (choose.randrange(40), f"code {choose.randrange(30)}")
            db.execute(_ONE_AT_A_TIME)
            db.execute("INSERT INTO receipt VALUES (%s, %s, %s)", (writer, number, f"receipt {number}"))
            db.execute("UPDATE account SET balance = balance - %s WHERE id = %s", (sum_, one))
            db.execute("UPDATE account SET balance = balance + %s WHERE id = %s", (sum_, other))
            db.execute(_POSTGRES_ROOM, item)
            db.execute(_POSTGRES_INSERT, (*item, choose.random(), choose.randbytes(20), "note"))
            for line in range(3):
                db.execute("INSERT INTO part VALUES (%s, %s, %s)", (item[0], line, f"line {line}"))
            db.execute("DELETE FROM item WHERE id = %s", (choose.randrange(40),))
            db.execute("UPDATE bulk SET a = a + 1 WHERE id = %s", (choose.randrange(2_000),))

    def _answers(self) -> bool:
        return self._connection is not None and not self._connection.closed

    def _came_through(self, writer: int, number: int) -> bool:
        """After a connection that broke: the COMMIT may have been done, or be under way until the lock is free."""
        for _ in range(600):
            try:
                self._db.execute(_ONE_AT_A_TIME)
                return self.has(writer, number)
            except psycopg.Error:
                time.sleep(0.1)
        raise Unanswered

    def probe(self) -> None:
        """A write that is taken back at once; Refused where the side is closed."""
        try:
            with self._db.transaction(force_rollback=True):
                self._db.execute(_PROBE)
        except psycopg.Error as error:
            raise Refused(str(error)) from error

    def has(self, writer: int, number: int) -> bool:
        """Whether the receipt is there."""
        sql = "SELECT 1 FROM receipt WHERE writer = %s AND number = %s"
        return self._db.execute(sql, (writer, number)).fetchone() is not None

    def read(self, sql: str) -> list[tuple[Any, ...]]:
        return self._db.execute(sql.encode()).fetchall()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()


class Writer(Background):
    """Writes at about ``rate`` transactions a second; what it was told is done stands in ``acknowledged``.

    A transaction that was refused is tried again until it is done, and one whose fate is ``unknown`` never.
    """

    def __init__(self, path: Path, dsn: str, writer: int, rate: float) -> None:
        super().__init__()
        self._path, self._dsn, self._writer, self._pause = path, dsn, writer, 1.0 / rate
        self._random = random.Random(writer)
        self.acknowledged: set[tuple[int, int]] = set()
        self.unknown: set[tuple[int, int]] = set()
        self.times: list[float] = []  # of each acknowledgement
        self.trouble: list[str] = []  # refusals that are not the fence's
        self.at = "sqlite"

    def run(self) -> None:
        sides: dict[str, SqliteSide | PostgresSide] = {
            "sqlite": SqliteSide(self._path),
            "postgres": PostgresSide(self._dsn),
        }
        number = 0
        while not self._end.wait(self._pause):
            number += 1
            while not self._try(sides, number) and not self._end.wait(0.003):
                pass
        for side in sides.values():
            side.close()

    def _try(self, sides: dict[str, SqliteSide | PostgresSide], number: int) -> bool:
        try:
            sides[self.at].transact(self._random, self._writer, number)
        except Unanswered:
            self.unknown.add((self._writer, number))
            return True
        except Refused as refusal:
            if FENCE in str(refusal):
                self.at = "postgres" if self.at == "sqlite" else "sqlite"
            else:
                self.trouble.append(f"{self.at}: {refusal}")
            return False
        self.acknowledged.add((self._writer, number))
        self.times.append(time.monotonic())
        return True


class Application:
    """Several writers, which begin while SQLite is the primary; ends them at the end of the block."""

    def __init__(self, path: Path, dsn: str, writers: int = 2, rate: float = 60.0) -> None:
        with closing(SqliteSide(path)) as side:
            self.counters = int(side.read(_COUNTERS)[0][0])  # before any transaction
        self.writers = [Writer(path, dsn, number, rate) for number in range(writers)]

    def __enter__(self) -> Self:
        for writer in self.writers:
            writer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        for writer in self.writers:
            writer.end()

    @property
    def acknowledged(self) -> set[tuple[int, int]]:
        return set().union(*(writer.acknowledged for writer in self.writers))

    @property
    def unknown(self) -> set[tuple[int, int]]:
        return set().union(*(writer.unknown for writer in self.writers))

    def more(self, count: int) -> Callable[[], bool]:
        """Whether so many more writes were acknowledged since this was called, and one of each writer at least."""
        before = [len(writer.acknowledged) for writer in self.writers]

        def have_come() -> bool:
            grown = [len(writer.acknowledged) - was for writer, was in zip(self.writers, before, strict=True)]
            return all(grown) and sum(grown) >= count

        return have_come

    @property
    def trouble(self) -> list[str]:
        return [line for writer in self.writers for line in writer.trouble]

    def longest_pause(self, since: float) -> float:
        """The longest time between two acknowledged writes of any writer since then, in seconds."""
        times = sorted(time for writer in self.writers for time in writer.times if time >= since)
        return max((after - before for before, after in pairwise(times)), default=0.0)


def wait_until_both_have(application: Application, path: Path, dsn: str) -> None:
    """Until the last write of each writer that was acknowledged by now is on both sides, whoever is primary."""
    newest = dict(sorted(application.acknowledged))
    with closing(SqliteSide(path)) as one, closing(PostgresSide(dsn)) as other:
        due = [(side, *me) for side in (one, other) for me in newest.items()]
        wait_until("the replica is in step", lambda: all(side.has(*me) for side, *me in due))


def assert_exactly_once(application: Application, path: Path, dsn: str, primary: str) -> None:
    """After the application's end: the primary has each of its writes once and no others, and the replica comes to.

    Only a write of unknown fate may be there or not.
    """
    with closing(SqliteSide(path)) as sqlite, closing(PostgresSide(dsn)) as postgres:
        first, second = (sqlite, postgres) if primary == "sqlite" else (postgres, sqlite)
        assert_accounts(application, first)
        wait_until("both sides are equal", lambda: _are_equal(path, dsn))
        assert_accounts(application, second)


def assert_accounts(application: Application, side: SqliteSide | PostgresSide) -> None:
    """What the side has is what was acknowledged, each transaction once, and all of it."""
    acknowledged, rows = application.acknowledged, [(row[0], row[1]) for row in side.read(_RECEIPTS)]
    there = set(rows)
    lost = sorted(acknowledged - there)
    assert not lost, f"{side.name}: {len(lost)} of {len(acknowledged)} acknowledged writes are lost: {lost[:5]}"
    extra = sorted(there - acknowledged - application.unknown)
    assert not extra, f"{side.name}: {len(extra)} writes that nobody was told are done: {extra[:5]}"
    assert len(rows) == len(there), f"{side.name}: doubled: {[me for me, n in Counter(rows).items() if n > 1][:5]}"
    raised = side.read(_COUNTERS)[0][0] - application.counters
    assert raised == len(there), f"{side.name}: {len(there)} transactions raised the counters by {raised}"
    assert side.read(_BALANCES) == [(TOTAL,)], f"{side.name}: money was made or lost"


def _are_equal(path: Path, dsn: str) -> bool:
    try:
        assert_equal(path, dsn, *TABLES)
    except AssertionError:
        return False
    return True


def takes(side: SqliteSide | PostgresSide) -> bool:
    """Whether the side takes writes."""
    try:
        side.probe()
    except Refused:
        return False
    return True


def takers(path: Path, dsn: str) -> list[str]:
    """The sides that take writes."""
    with closing(SqliteSide(path)) as sqlite, closing(PostgresSide(dsn)) as postgres:
        return [side.name for side in (sqlite, postgres) if takes(side)]


class Prober(Background):
    """Tries to write to both sides all the time; ``both`` are the moments at which both took a write.

    ``opened`` are the sides that took one at any time: a prober that could see nothing proves nothing.

    A side that took a write when the other one did, in the same small span, was open together with it: each
    probe notes when it began and ended, and two that were taken although the other had been taken *before and
    after* within the fence's order would show.  So the order of the probes is sqlite, postgres, sqlite.
    """

    def __init__(self, path: Path, dsn: str) -> None:
        super().__init__()
        self._path, self._dsn = path, dsn
        self.both: list[str] = []
        self.opened: set[str] = set()
        self.looks = 0

    def run(self) -> None:
        sqlite, postgres = SqliteSide(self._path), PostgresSide(self._dsn)
        sqlite._db.execute("PRAGMA busy_timeout=0")
        while not self._end.wait(0.002):
            tried: tuple[SqliteSide | PostgresSide, ...] = (sqlite, postgres, sqlite, postgres)
            taken = [takes(side) for side in tried]
            self.opened |= {side.name for side, took in zip(tried, taken, strict=True) if took}
            self.looks += 1
            if taken[:3] == [True, True, True] or taken[1:] == [True, True, True]:
                self.both.append(f"look {self.looks}")
        sqlite.close()
        postgres.close()

    def assert_saw(self, epoch: int) -> None:
        """It saw each side open that was primary up to this epoch, no other one, and never both at once."""
        assert self.opened == ({"sqlite", "postgres"} if epoch else {"sqlite"}), f"{self.opened}, {self.looks} looks"
        assert not self.both
