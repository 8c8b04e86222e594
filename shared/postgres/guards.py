"""Our triggers as they were left when PostgreSQL became the primary, and whether anybody has touched them since.

Whoever switches them off, writes, and switches them on again leaves no trace in the change log, and ``ENABLE`` puts
the fence up besides.  But each ALTER writes the trigger's row in the catalogue anew, so its ``xmin`` tells, and a
table that was built anew has another oid.  Our own switch keeps both in the transaction that moves them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import psycopg

from shared.errors import SchemaChanged
from shared.postgres.triggers import CAPTURE, FENCE, TRUNCATE

GUARDS = f"""
coalesce((SELECT string_agg(concat_ws(' ', c.oid, t.tgname, t.tgenabled, t.tgfoid, t.xmin, c.relname), chr(10)
                            ORDER BY c.relname, t.tgname)
            FROM pg_class AS c JOIN pg_trigger AS t ON t.tgrelid = c.oid
             AND t.tgname IN ('{CAPTURE}', '{TRUNCATE}', '{FENCE}')
           WHERE c.relnamespace = current_schema()::regnamespace AND c.relname = ANY (%(names)s)), '')
"""  # noqa: S608  (our own names)
"""A line a trigger: its table's oid, name, switch, function, what wrote it last, its table."""

_KEEP = f"UPDATE switchback.side SET guards = {GUARDS} WHERE stream = %(stream)s"  # noqa: S608
_BOTH = f"SELECT guards, {GUARDS} FROM switchback.side WHERE stream = %(stream)s AND role = 'primary'"  # noqa: S608
_REMEDY = (
    "What was written meanwhile may be missing in SQLite, and the fence may be up:"
    ' docs/when-it-fails.md says what to do, under "Somebody touched the triggers"'
)


def keep_guards(db: psycopg.Connection[Any], stream: str, names: Iterable[str]) -> None:
    """Keep how these tables' triggers are now, in the caller's transaction."""
    db.execute(_KEEP.encode(), {"stream": stream, "names": list(names)})


def are_kept(db: psycopg.Connection[Any], stream: str) -> bool:
    """Whether any are: a version before kept none, and an operator may take them away to have them made anew."""
    row = db.execute("SELECT guards <> '' FROM switchback.side WHERE stream = %s", (stream,)).fetchone()
    return bool(row and row[0])


def check_guards(db: psycopg.Connection[Any], stream: str, names: Iterable[str]) -> None:
    """Raises SchemaChanged where a trigger is not what was kept; says nothing where none are kept, nor of a replica."""
    row = db.execute(_BOTH.encode(), {"stream": stream, "names": list(names)}).fetchone()
    kept, now = (_by_name(text) for text in row) if row else ({}, {})
    for (table, trigger), (oid, *rest) in kept.items():
        found = now.get((table, trigger))
        if found != (oid, *rest):
            what = f"Switchback's triggers were touched while PostgreSQL is the primary: {_said(trigger, oid, found)}"
            raise SchemaChanged(what, where=f"table {table} of PostgreSQL", remedy=_REMEDY)


def _by_name(text: str) -> dict[tuple[str, str], tuple[str, ...]]:
    found: dict[tuple[str, str], tuple[str, ...]] = {}
    for line in text.split("\n"):
        oid, trigger, enabled, function, writer, table = (*line.split(" ", 5), *("",) * 6)[:6]
        found[table, trigger] = (oid, enabled, function, writer)
    return found if text else {}


def _said(trigger: str, oid: str, found: tuple[str, ...] | None) -> str:
    if found is None:
        return f"{trigger} is gone"
    if found[0] != oid:
        return "this is another table of the same name"
    return f"{trigger} was switched or made anew{' and is off now' if found[1] == 'D' else ''}"
