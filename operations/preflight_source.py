"""What ``switchback check`` asks of the SQLite side.

Without WAL a reader keeps the application's commits waiting, so whatever may take long is cut short
there: it looks at one table at a time, for a moment each.
"""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TypeVar

from operations.preflight import Check, Result
from operations.wording import count, size
from shared.columns.overrides import wrong_overrides
from shared.errors import BadInput
from shared.findings import Finding
from shared.settings import Settings
from shared.sqlite.catalog import findings, null_keys, read_schema
from shared.sqlite.connection import connect, quote, reading, translated
from shared.sqlite.description import list_tables
from shared.sqlite.selection import names_in_order, select_names

_LOCK_SECONDS = 2.0
_PATIENCE = {True: (30.0, 30.0), False: (3.0, 0.5)}  # in all, and for one table; with and without WAL
_STEPS = 10_000  # SQLite's virtual machine instructions between two looks at the clock
_SHOWN = 3
_ROOM = 1_000_000_000

Answer = TypeVar("Answer")
Found = Iterator[Result | Finding | str]


def source_checks(settings: Settings) -> list[Check]:
    """The checks of the source; the file is opened anew for each, and never written to."""
    path = settings.source

    def on_source(name: str, look: Callable[[sqlite3.Connection], Found], *needs: str) -> Check:
        def opened() -> Iterable[Result | Finding | str]:
            with closing(connect(path, readonly=True, busy_seconds=_LOCK_SECONDS)) as db, translated(path):
                return list(look(db))

        return Check(name, opened, needs=("source", *needs))

    return [
        on_source("source", lambda db: _look_at_file(db, path)),
        Check("source is writable", lambda: _look_at_lock(path), needs=("source",)),
        on_source("journal mode", _look_at_journal),
        on_source("tables", lambda db: _look_at_tables(db, settings)),
        on_source("integrity", lambda db: _look_at_integrity(db, settings), "tables"),
        on_source("keys", lambda db: _look_at_keys(db, settings), "tables"),
        on_source("foreign keys", lambda db: _look_at_foreign_keys(db, settings), "tables"),
        *([on_source("types", lambda db: _look_at_types(db, settings), "tables")] if settings.types else []),
        Check("disk", lambda: _look_at_disk(settings)),
    ]


def _look_at_file(db: sqlite3.Connection, path: Path) -> Found:
    tables = db.execute("SELECT count(*) FROM sqlite_master WHERE type = 'table'").fetchone()[0]
    encoding = db.execute("PRAGMA encoding").fetchone()[0]
    yield f"{path}, {size(path.stat().st_size)}, {tables} tables, {encoding}"


def _look_at_lock(path: Path) -> Found:
    """A write lock is taken and given back; nothing is written."""
    with closing(connect(path, busy_seconds=_LOCK_SECONDS)) as db, translated(path):
        began = time.monotonic()
        try:
            db.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                raise
            what = f"another connection has held the write lock for {_LOCK_SECONDS:.0f} s"
            remedy = "Find the transaction that is kept open: capture waits for it"
            yield Finding("warn", "long-lock", what, str(path), remedy)
            return
        db.execute("ROLLBACK")
        yield f"the write lock was free after {(time.monotonic() - began) * 1000:.0f} ms"


def _look_at_journal(db: sqlite3.Connection) -> Found:
    mode = db.execute("PRAGMA journal_mode").fetchone()[0]
    if mode == "wal":
        yield "WAL: readers and the writer do not disturb each other"
        return
    what = f"the journal mode is {mode}: each read keeps the application's commits waiting for some milliseconds"
    yield Finding("warn", "no-wal", what, remedy="Switch the application to WAL: PRAGMA journal_mode=WAL, once")


def _look_at_tables(db: sqlite3.Connection, settings: Settings) -> Found:
    with reading(db):
        known = [row[1] for row in list_tables(db) if row[2] == "table"]
        chosen = select_names(known, settings.tables, settings.exclude)
        names_in_order(known, settings.priorities)
        found = [finding for finding in findings(db) if not _is_about(finding, set(known) - set(chosen))]
    if not chosen:
        yield Finding("refuse", "no-tables", "there is no table to copy", remedy="See the settings tables and exclude")
    else:
        left_out = f", {len(known) - len(chosen)} are left out" if len(known) > len(chosen) else ""
        yield f"{len(chosen)} tables are to be copied{left_out}"
    yield from found


def _is_about(finding: Finding, tables: Iterable[str]) -> bool:
    return any(f"{finding.where},".startswith(f"table {name},") for name in tables)


def _look_at_integrity(db: sqlite3.Connection, settings: Settings) -> Found:
    names = _table_names(db, settings)

    def look(name: str) -> list[str]:
        rows = db.execute(f"PRAGMA quick_check({quote(name)})").fetchmany(_SHOWN)
        return [text for (text,) in rows if text != "ok"]

    left = bad = 0
    for name, wrong in _each(db, names, look):
        left += wrong is None
        bad += bool(wrong)
        for text in wrong or ():
            yield Finding("refuse", "damaged", text, f"table {name}", "Repair or restore the file first")
    yield from _unfinished(left, len(names) - left - bad, "are sound", "PRAGMA quick_check")


def _look_at_keys(db: sqlite3.Connection, settings: Settings) -> Found:
    with reading(db):
        schema = read_schema(db, settings.tables, settings.exclude, settings.priorities)

    def look(name: str) -> int:
        return null_keys(db, schema.table(name))

    left = bad = 0
    for name, rows in _each(db, [table.name for table in schema.tables], look):
        left += rows is None
        bad += bool(rows)
        if rows:
            what = f"{count(rows)} rows have NULL in their key, so they cannot be told apart"
            remedy = "Give them a key, or leave the table out with exclude"
            yield Finding("refuse", "null-key", what, f"table {name}", remedy)
    yield from _unfinished(left, len(schema.tables) - left - bad, "have whole keys", "switchback check")


def _look_at_foreign_keys(db: sqlite3.Connection, settings: Settings) -> Found:
    names = _table_names(db, settings)
    limit = 1_000

    def look(name: str) -> list[tuple[object, ...]]:
        return db.execute(f"PRAGMA foreign_key_check({quote(name)})").fetchmany(limit)

    left = bad = 0
    for name, rows in _each(db, names, look):
        left += rows is None
        bad += bool(rows)
        if rows:
            number = f"{count(len(rows))}{' or more' if len(rows) == limit else ''}"
            what = f"{number} rows refer to rows of {rows[0][2]} that do not exist"
            remedy = "Repair them, or PostgreSQL's foreign key will not be validated (PRAGMA foreign_key_check)"
            yield Finding("warn", "foreign-key", what, f"table {name}", remedy)
    yield from _unfinished(left, len(names) - left - bad, "refer to what exists", "PRAGMA foreign_key_check")


def _look_at_types(db: sqlite3.Connection, settings: Settings) -> Found:
    with reading(db):
        wrong = list(wrong_types(db, settings))
    for error in wrong:
        yield Result("types", "refuse", error.what, error.where, error.remedy, wrong_input=True)
    if good := len(settings.types) - len(wrong):
        yield f"{good} columns get the type that was chosen for them"


def wrong_types(db: sqlite3.Connection, settings: Settings) -> Iterator[BadInput]:
    """What is wrong with the setting ``types``, for the tables of this file."""
    tables = read_schema(db, settings.tables, settings.exclude).tables
    names = {table.name for table in tables}
    left_out = [row[1] for row in list_tables(db) if row[1] not in names]
    return wrong_overrides(settings.types, tables, left_out)


def _look_at_disk(settings: Settings) -> Found:
    path = settings.source
    need = path.stat().st_size if path.exists() else 0
    yield from _room("the change log and the -wal file", path.parent, max(_ROOM, need // 4))
    if settings.log.startswith("embedded:"):
        folder = Path(settings.log.removeprefix("embedded:")).parent
        yield from _room("the embedded log", _existing(folder), _ROOM + need)


def _room(what: str, folder: Path, wanted: int) -> Found:
    free = shutil.disk_usage(folder).free
    if free >= wanted:
        yield f"{size(free)} free for {what}"
        return
    text = f"{size(free)} are free for {what}, {size(wanted)} would be safe"
    yield Finding("warn", "disk", text, str(folder), "Free some space, or move it to another disk")


def _existing(folder: Path) -> Path:
    return next(place for place in (folder, *folder.absolute().parents) if place.exists())


def _table_names(db: sqlite3.Connection, settings: Settings) -> list[str]:
    with reading(db):
        return [table.name for table in read_schema(db, settings.tables, settings.exclude).tables]


def _each(
    db: sqlite3.Connection, names: Iterable[str], look: Callable[[str], Answer]
) -> Iterator[tuple[str, Answer | None]]:
    """Look at one table after the other; None where there was no time for it."""
    wal = db.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    altogether, single = _PATIENCE[wal]
    end = time.monotonic() + altogether
    for name in names:
        yield name, _look_until(db, min(end, time.monotonic() + single), lambda name=name: look(name))  # type: ignore[misc]


def _look_until(db: sqlite3.Connection, deadline: float, look: Callable[[], Answer]) -> Answer | None:
    if time.monotonic() >= deadline:
        return None
    db.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS)
    try:
        return look()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
            raise
        return None
    finally:
        db.set_progress_handler(None, 0)


def _unfinished(left: int, good: int, right: str, by_hand: str) -> Found:
    if good:
        yield f"{good} tables {right}"
    if left:
        what = f"{left} tables were not looked at to the end, so as not to disturb the application"
        yield Finding("note", "unfinished", what, remedy=f"Run {by_hand} on a copy of the file")
