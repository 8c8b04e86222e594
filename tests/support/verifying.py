"""A stream between a SQLite file and PostgreSQL to be verified, with differences planted on either side."""

from __future__ import annotations

import io
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from rich.console import Console

from background import Background
from comparing import past_the_fence
from inprocess import STREAM, InProcess
from operations.verification.command import verify_command
from operations.verification.findings import Finding
from operations.verification.session import Session, open_session
from operations.verification.verify import Report, verify_all
from shared.groups import Position
from shared.settings import Settings

SCHEMA = """
CREATE TABLE person (id INTEGER PRIMARY KEY, name TEXT, score REAL, visits INTEGER, body BLOB);
CREATE TABLE word (word TEXT PRIMARY KEY, meaning TEXT) WITHOUT ROWID;
CREATE TABLE tag (tag TEXT COLLATE NOCASE PRIMARY KEY, uses INTEGER);
CREATE TABLE line (book INTEGER, line INTEGER, text TEXT, PRIMARY KEY (book, line));
CREATE TABLE loose (a TEXT, b INTEGER);
"""
TABLES = ("person", "word", "tag", "line", "loose")


class Pair:
    """The two sides; ``follow`` brings what was written in SQLite to PostgreSQL."""

    def __init__(self, folder: Path, dsn: str, rows: int = 100, more: str = "") -> None:
        self.path, self.dsn = folder / "app.db", dsn
        with closing(sqlite3.connect(self.path)) as db:
            db.execute("PRAGMA journal_mode=wal")
            db.executescript(SCHEMA)
            _fill(db, rows)
            db.executescript(more)
            db.commit()
        self.stream = InProcess(self.path, dsn)
        self.stream.copy()
        self.follow = self.stream.follow

    @property
    def settings(self) -> Settings:
        """What an operator would have set."""
        log = f"embedded:{self.path.with_name('log.db')}"
        return Settings(source=self.path, target=SecretStr(self.dsn), stream=STREAM, log=log)

    @contextmanager
    def session(self, *tables: str, patience: float = 60) -> Iterator[Session]:
        with open_session(self.settings, tables, patience) as session:
            yield session

    def verify(self, *, repair: bool = False) -> Report:
        """A full pass."""
        with self.session() as session:
            return verify_all(session, Quiet(), repair=repair)

    def command(
        self, *tables: str, changed: bool = False, json: bool = False, repair: bool = False, patience: float = 60
    ) -> tuple[int, str]:
        """Exit code and text of the command."""
        text = io.StringIO()
        console = Console(width=200, file=text)
        code = verify_command(self.settings, tables, changed, json, repair, console, patience=patience)
        return code, text.getvalue()

    def publish(self) -> None:
        """Bring what was written in SQLite to the log, and no further."""
        self.stream.relay.publish_changes()
        self.stream.relay.flush()

    def barrier(self, *, drain: bool = True) -> Position:
        """Publish the rest and a barrier behind it, as in the hold; ``drain`` brings it to PostgreSQL."""
        position = self.stream.relay.publish_rest("attempt")
        if drain:
            self.stream.drain()
        return position

    def write(self, sql: str, *params: Any) -> None:
        """A transaction of the application's."""
        with closing(sqlite3.connect(self.path, timeout=30)) as db, db:
            db.execute(sql, params)

    def sneak(self, sql: str, *params: Any) -> None:
        """Change SQLite without a trace in the change log: what only a fault could do."""
        with closing(sqlite3.connect(self.path, timeout=30)) as db, db:
            high = db.execute("SELECT coalesce(max(seq), 0) FROM _switchback_log").fetchone()[0]
            db.execute(sql, params)
            db.execute("DELETE FROM _switchback_log WHERE seq > ?", (high,))

    def tamper(self, sql: str, *params: Any) -> None:
        """Change PostgreSQL behind the sink's back."""
        with past_the_fence(self.dsn) as db:
            db.execute(sql.encode(), params)

    def logged(self) -> int:
        """How many changes were logged so far."""
        with closing(sqlite3.connect(self.path)) as db:
            return int(db.execute("SELECT coalesce(max(seq), 0) FROM _switchback_log").fetchone()[0])

    def close(self) -> None:
        self.stream.close()


class Quiet:
    def table(self, name: str, rows: int, total: int) -> None: ...

    def looking_again(self, keys: int) -> None: ...


class Pump(Background):
    """Capture and sink at work in the background, each time some milliseconds late."""

    def __init__(self, pair: Pair, delay: float = 0.01) -> None:
        super().__init__()
        self._pair, self._delay = pair, delay

    def run(self) -> None:
        while not self._end.wait(self._delay):
            self._pair.follow()

    def __exit__(self, *_: object) -> None:
        self.end()
        self._pair.follow()


def found(report: Report) -> set[tuple[str, str, str, str]]:
    """What was found: kind, table, key and column."""
    return found_in(report.findings)


def found_in(findings: Iterable[Finding]) -> set[tuple[str, str, str, str]]:
    """The same for findings."""
    return {(finding.kind, finding.table, finding.key, finding.column) for finding in findings}


def _fill(db: sqlite3.Connection, rows: int) -> None:
    numbers: Sequence[int] = range(1, rows + 1)
    people = [(n, f"person {n}", n / 8, n, bytes([n % 256])) for n in numbers]
    db.executemany("INSERT INTO person VALUES (?, ?, ?, ?, ?)", people)
    db.executemany("INSERT INTO word VALUES (?, ?)", [(f"wörd {n}", f"meaning {n}") for n in numbers])
    db.executemany("INSERT INTO tag VALUES (?, ?)", [(f"{'Tt'[n % 2]}ag {n}", n) for n in numbers])
    db.executemany("INSERT INTO line VALUES (?, ?, ?)", [(n // 7, n, f"line {n}") for n in numbers])
    db.executemany("INSERT INTO loose VALUES (?, ?)", [(f"loose {n % 5}", n) for n in numbers])
