"""What is found before anybody waits."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from pydantic import SecretStr

from operations.cutover.prechecks import Prechecks
from shared.control.fold import State
from shared.findings import Finding
from shared.log.embedded import EmbeddedLog
from shared.settings import Settings


def _found(path: Path, tmp_path: Path, dsn: str) -> list[Finding]:
    with closing(EmbeddedLog(tmp_path / "log.db")) as log:
        checks = Prechecks(Settings(source=path, target=SecretStr(dsn), stream="app"), log, State())
        return [found for found in checks.what_only_the_application_can_write() if isinstance(found, Finding)]


def test_an_index_that_needs_the_applications_collation_is_named(tmp_path: Path, postgres_dsn: str) -> None:
    path = tmp_path / "app.db"
    with closing(sqlite3.connect(path)) as db:
        db.create_collation("by_number", lambda a, b: (a > b) - (a < b))
        db.executescript(
            "CREATE TABLE plain (id INTEGER PRIMARY KEY, name TEXT NOT NULL);"
            "CREATE TABLE person (id INTEGER PRIMARY KEY, name TEXT);"
            "CREATE INDEX person_name ON person (name COLLATE by_number);"
        )
    [finding] = _found(path, tmp_path, postgres_dsn)
    assert finding.where == "table person"
    assert "by_number" in finding.what


def test_tables_of_all_kinds_that_need_nobody_are_passed(tmp_path: Path, postgres_dsn: str) -> None:
    path = tmp_path / "app.db"
    with closing(sqlite3.connect(path)) as db:
        db.executescript(
            'CREATE TABLE "odd name" (a, b, PRIMARY KEY (a, b)) WITHOUT ROWID;'
            "CREATE TABLE made (id INTEGER PRIMARY KEY AUTOINCREMENT, n INT CHECK (abs(n) < 9), m AS (n + 1) STORED);"
            "CREATE INDEX made_n ON made (lower(n) COLLATE NOCASE);"
            "CREATE VIRTUAL TABLE words USING fts5 (body);"
        )
    assert _found(path, tmp_path, postgres_dsn) == []
