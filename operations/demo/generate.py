"""Makes a demo database of any size, the same bytes of content for the same size and seed.

A row is a pure function of its number and 128 random bits (rows_people, rows_leads, rows_traffic);
this module draws the bits, one stream a table, and brings the rows into the file as fast as SQLite
takes them: without journal and without syncs, into a file beside ``path`` that gets its name last.
So a generator that was stopped leaves no half database behind under the name that was asked for.
"""

from __future__ import annotations

import argparse
import sqlite3
import struct
import sys
import time
from contextlib import closing
from importlib import resources
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Literal

from operations.demo import rows_leads, rows_people, rows_traffic
from operations.demo.sizes import share_out
from shared.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from operations.demo.rows_people import Maker, Row, Sizes

Journal = Literal["wal", "delete"]

CHUNK = 16_384
"""Rows whose random bits are drawn at once: 256 kB."""

MAKERS: Mapping[str, Callable[[Sizes], Maker]] = {
    "roles": rows_people.roles,
    "users": rows_people.users,
    "user_roles": rows_people.user_roles,
    "login_sessions": rows_people.login_sessions,
    "credit_accounts": rows_people.credit_accounts,
    "credit_transfers": rows_people.credit_transfers,
    "companies": rows_people.companies,
    "contacts": rows_people.contacts,
    "tags": rows_people.tags,
    "configuration": rows_people.configuration,
    "leads": rows_leads.leads,
    "lead_system_details": rows_leads.lead_system_details,
    "lead_status_changes": rows_leads.lead_status_changes,
    "lead_tags": rows_leads.lead_tags,
    "tasks": rows_leads.tasks,
    "notes": rows_leads.notes,
    "emails": rows_leads.emails,
    "attachments": rows_leads.attachments,
    "audit_log": rows_leads.audit_log,
    "visitor_sessions": rows_traffic.visitor_sessions,
    "tracking_events": rows_traffic.tracking_events,
    "page_timings": rows_traffic.page_timings,
    "ab_tests": rows_traffic.ab_tests,
    "ab_variants": rows_traffic.ab_variants,
    "ab_assignments": rows_traffic.ab_assignments,
}


def generate(path: Path, rows: int, seed: int = 1, journal: Journal = "wal") -> Mapping[str, int]:
    """Make a database of ``rows`` rows at ``path``; returns the rows by table.

    BadInput if there is something at ``path`` already, its folder cannot be written, or ``rows`` is too small.
    """
    sizes = share_out(rows)
    if path.exists():
        raise BadInput("there is a file already", where=str(path), remedy="Remove it, or choose another name.")
    partial = path.with_name(f"{path.name}.partial")
    try:
        partial.unlink(missing_ok=True)
        _fill(partial, sizes, seed, journal)
        partial.rename(path)
    except (OSError, sqlite3.Error) as error:
        partial.unlink(missing_ok=True)
        raise BadInput(f"the demo database could not be written: {error}", where=str(path)) from error
    return sizes


def _fill(path: Path, sizes: Sizes, seed: int, journal: Journal) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        for pragma in ("journal_mode=OFF", "synchronous=OFF", "locking_mode=EXCLUSIVE", "cache_size=-65536"):
            db.execute(f"PRAGMA {pragma}")
        db.execute("BEGIN")
        _run_script(db, "schema.sql")
        for table, make in MAKERS.items():
            width = len(db.execute(f"PRAGMA table_info({table})").fetchall())
            insert = f'INSERT INTO "{table}" VALUES ({", ".join("?" * width)})'  # noqa: S608  names of ours
            db.executemany(insert, _rows(table, sizes[table], make(sizes), seed))
        _run_script(db, "schema_after_load.sql")
        db.execute("COMMIT")
        db.execute("PRAGMA locking_mode=NORMAL")
        db.execute(f"PRAGMA journal_mode={journal}").fetchall()


def _run_script(db: sqlite3.Connection, name: str) -> None:
    """Run a script inside the open transaction, which ``executescript`` would commit first."""
    statement = ""
    for line in resources.files("operations.demo").joinpath(name).read_text("utf-8").splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            db.execute(statement)
            statement = ""


def _rows(table: str, count: int, make: Maker, seed: int) -> Iterator[Row]:
    random = Random(f"{seed}:{table}")  # noqa: S311  demo data are no secrets
    for first in range(1, count + 1, CHUNK):
        size = min(CHUNK, count + 1 - first)
        for number, (a, b) in enumerate(struct.iter_unpack("<QQ", random.randbytes(16 * size)), start=first):
            yield make(number, a, b)


def main() -> None:
    """``python -m operations.demo.generate PATH --rows N --seed S``."""
    parser = argparse.ArgumentParser(description="Make a demo database: a lead-management application's.")
    parser.add_argument("path", type=Path)
    parser.add_argument("--rows", type=int, default=100_000, help="in all tables together (default: 100000)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--journal", choices=("wal", "delete"), default="wal")
    options = parser.parse_args()
    began = time.monotonic()
    try:
        sizes = generate(options.path, options.rows, options.seed, options.journal)
    except BadInput as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_code)
    seconds = time.monotonic() - began
    rate = options.rows / seconds
    sys.stdout.write(f"{options.rows:,} rows in {len(sizes)} tables, {seconds:.1f} s, {rate:,.0f} rows/s\n")


if __name__ == "__main__":
    main()
