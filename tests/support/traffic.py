"""An application in small: writers that keep an account of what the database acknowledged.

The schema has a table with a secondary unique key, a child with a cascade, and accounts whose sum
never changes.  Each writer's n-th transaction leaves exactly one row (writer, n) in ``receipt``.
"""

from __future__ import annotations

import random
import sqlite3
from pathlib import Path
from typing import Self

from background import Background

SCHEMA = """
CREATE TABLE account (id INTEGER PRIMARY KEY, owner TEXT NOT NULL, balance INTEGER NOT NULL);
CREATE TABLE item (id INTEGER PRIMARY KEY, code TEXT UNIQUE, price REAL, body BLOB, note);
CREATE TABLE part (item INTEGER REFERENCES item ON DELETE CASCADE, line INTEGER, text TEXT, PRIMARY KEY (item, line));
CREATE TABLE receipt (writer INTEGER, number INTEGER, text TEXT, PRIMARY KEY (writer, number)) WITHOUT ROWID;
CREATE TABLE bulk (id INTEGER PRIMARY KEY, a INTEGER, b TEXT, c REAL);
CREATE INDEX bulk_a ON bulk (a);
"""
ACCOUNTS = 20
TOTAL = ACCOUNTS * 1_000


def make_database(path: Path, *, bulk: int = 2_000, wal: bool = True) -> Path:
    db = sqlite3.connect(path)
    db.execute(f"PRAGMA journal_mode={'wal' if wal else 'delete'}")
    db.executescript(SCHEMA)
    db.executemany("INSERT INTO account VALUES (?, ?, 1000)", [(n, f"owner {n}") for n in range(ACCOUNTS)])
    db.executemany("INSERT INTO bulk VALUES (?, ?, ?, ?)", [(n, n % 97, f"row {n}", n / 7) for n in range(bulk)])
    db.commit()
    db.close()
    return path


class Writer(Background):
    """Writes at about ``rate`` transactions a second until ended; ``acknowledged`` are numbers that must exist."""

    def __init__(self, path: Path, writer: int, rate: float = 200.0) -> None:
        super().__init__()
        self._path, self._writer, self._pause = path, writer, 1.0 / rate
        self._random = random.Random(writer)
        self.acknowledged: set[tuple[int, int]] = set()
        self.refused: set[tuple[int, int]] = set()
        self.trouble: list[str] = []

    def run(self) -> None:
        db = sqlite3.connect(self._path, timeout=30, isolation_level=None)
        db.execute("PRAGMA foreign_keys=ON")
        number = 0
        while not self._end.wait(self._pause):
            number += 1
            try:
                self._transact(db, number)
            except sqlite3.Error as error:
                self.trouble.append(str(error))
                self.refused.add((self._writer, number))
                if db.in_transaction:
                    db.execute("ROLLBACK")
        db.close()

    def _transact(self, db: sqlite3.Connection, number: int) -> None:
        choose, me = self._random, (self._writer, number)
        db.execute("BEGIN IMMEDIATE")
        db.execute("INSERT INTO receipt VALUES (?, ?, ?)", (*me, f"receipt {number}"))
        one, other, sum_ = choose.randrange(ACCOUNTS), choose.randrange(ACCOUNTS), choose.randrange(50)
        db.execute("UPDATE account SET balance = balance - ? WHERE id = ?", (sum_, one))
        db.execute("UPDATE account SET balance = balance + ? WHERE id = ?", (sum_, other))
        code = f"code {choose.randrange(30)}"
        db.execute(
            "INSERT OR REPLACE INTO item (id, code, price, body, note) VALUES (?, ?, ?, ?, ?)",
            (choose.randrange(40), code, choose.random(), choose.randbytes(20), "note"),
        )
        item = db.execute("SELECT id FROM item WHERE code = ?", (code,)).fetchone()[0]
        db.executemany("INSERT OR REPLACE INTO part VALUES (?, ?, ?)", [(item, n, f"line {n}") for n in range(3)])
        db.execute("DELETE FROM item WHERE id = ?", (choose.randrange(40),))
        db.execute("UPDATE bulk SET a = a + 1 WHERE id = ?", (choose.randrange(2_000),))
        if choose.random() < 0.1:
            db.execute("ROLLBACK")
            self.refused.add(me)
        else:
            db.execute("COMMIT")
            self.acknowledged.add(me)


class Traffic:
    """Several writers; ends them at the end of the block."""

    def __init__(self, path: Path, writers: int = 2, rate: float = 100.0) -> None:
        self.writers = [Writer(path, number, rate) for number in range(writers)]

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
    def refused(self) -> set[tuple[int, int]]:
        return set().union(*(writer.refused for writer in self.writers))

    @property
    def trouble(self) -> list[str]:
        return [line for writer in self.writers for line in writer.trouble]
