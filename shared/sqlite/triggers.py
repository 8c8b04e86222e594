"""The capture triggers of a table, as SQL.  Pure; the one subtle file of capturing from SQLite.

They run inside the application's SQLite, of any version since 3.9, and must never make its
statement fail: plain INSERT, DELETE and SELECT, no conflict clauses, no function younger than that.

**Every entry says what is true when it is made.**  A ``c`` or ``u`` holds a row as it is in the table
*now* (read again, not NEW: an application's trigger may have run first and changed or deleted it),
a ``d`` or ``k`` says that no row has this key *now* (an application's trigger may have put it back).
And every row operation is followed by entries about its old and its new key.  So the last entry of
each key is its last state, in whatever order triggers fire and however they are nested; an entry
too many (a ``d`` for a key that was absent already) does no harm.

**REPLACE** is the operation without a trigger: rows in the way of the new one vanish silently, unless
the application has set ``recursive_triggers``.  Those with the new row's own key are answered for by
its entry.  For the others a BEFORE trigger copies the rows in the way to ``_switchback_pending``, and
the AFTER trigger logs a ``d`` for those that are gone.  A remembered row that is not gone may stay
(the insert was ignored, or became an upsert): it is never cleared by a trigger, since an outer
statement may still be about to remove it; capture clears such rows between transactions.  The tags,
values of the new row, keep them out of other statements' way.

What this cannot see: an application's BEFORE trigger that itself brings a row into the way of the new one
(see ``survey``), and what follows a RAISE(IGNORE) in an application's AFTER trigger created later
than ours (see ``installation``).
"""

# ruff: noqa: S608  (statements are put together from quoted identifiers and from the source's own DDL)

from __future__ import annotations

from collections.abc import Sequence

from shared.sqlite.connection import quote
from shared.sqlite.terms import (
    Conflict,
    conflicts,
    current_image,
    former_image,
    key_changed,
    is_rowid_key,
    key_terms,
    logged_key_terms,
    same_key,
    same_row,
)
from shared.tables import ROWID, Table

LOG = '"_switchback_log"'
PENDING = '"_switchback_pending"'

# Milliseconds since 1970. julianday() is exact to 0.04 ms in this century, so rounding finds the millisecond.
_NOW_MS = "CAST((julianday('now') - 2440587.5) * 86400000.0 + 0.5 AS INTEGER)"


def trigger_names(table_id: int) -> list[str]:
    """The names that the triggers of a table may have."""
    return [
        f"_switchback_{table_id}_{event}" for event in ("insert", "update", "delete", "before_insert", "before_update")
    ]


def trigger_sql(table: Table, table_id: int) -> list[str]:
    """The CREATE TRIGGER statements of a table, exactly as SQLite will keep them."""
    found = [
        _trigger(table, table_id, "insert", "AFTER INSERT", _after_insert(table, table_id)),
        _trigger(table, table_id, "update", "AFTER UPDATE", _after_update(table, table_id)),
        _trigger(table, table_id, "delete", "AFTER DELETE", [_log_absent(table, table_id, "d", "OLD")]),
    ]
    ways = conflicts(table)
    if ways:
        inserts = [_remember(table, table_id, way, _not_own_insert(table), "") for way in ways]
        updates = [_remember(table, table_id, way, _not_own_update(table), way.touched) for way in ways]
        found.append(_trigger(table, table_id, "before_insert", "BEFORE INSERT", inserts))
        found.append(_trigger(table, table_id, "before_update", "BEFORE UPDATE", updates))
    return found


def _trigger(table: Table, table_id: int, name: str, event: str, body: Sequence[str]) -> str:
    steps = "".join(f"  {step};\n" for step in body)
    head = f'CREATE TRIGGER "_switchback_{table_id}_{name}" {event} ON {quote(table.name)} FOR EACH ROW BEGIN\n'
    return f"{head}{steps}END"


def _after_insert(table: Table, table_id: int) -> list[str]:
    return [*_settle(table, table_id, ("NEW",)), _log_current(table, table_id, "'c'")]


def _after_update(table: Table, table_id: int) -> list[str]:
    changed = key_changed(table)
    return [
        *_settle(table, table_id, ("NEW", "OLD")),
        _log_absent(table, table_id, "k", "OLD", changed),
        _log_current(table, table_id, f"CASE WHEN {changed} THEN 'c' ELSE 'u' END"),
    ]


def _into_log(table: Table) -> str:
    places = ", ".join(f'"c{place + 1}"' for place in range(len(table.columns)))
    return f'INSERT INTO {LOG} ("tbl", "op", "ms", {places})'


def _log_current(table: Table, table_id: int, op: str) -> str:
    image = ", ".join(current_image(table, "r"))
    found = f"FROM {quote(table.name)} AS r WHERE {same_row(table, 'NEW')}"
    return f"{_into_log(table)} SELECT {table_id}, {op}, {_NOW_MS}, {image} {found}"


def _log_absent(table: Table, table_id: int, op: str, scope: str, condition: str = "") -> str:
    image = ", ".join(former_image(table, scope))
    gone = _gone(table, key_terms(table, scope))
    where = f"{condition} AND {gone}" if condition else gone
    return f"{_into_log(table)} SELECT {table_id}, '{op}', {_NOW_MS}, {image} WHERE {where}"


def _gone(table: Table, key: list[str]) -> str:
    return f"NOT EXISTS (SELECT 1 FROM {quote(table.name)} AS r WHERE {same_key(table, 'r', key)})"


def _tag_columns(table: Table) -> tuple[str, ...]:
    """Up to two columns whose new values tell statements apart: the ends of the first unique index that has columns.

    Their values must be the same before and after the row is stored, which a rowid's is not.
    """
    unfit = (ROWID, table.identity)
    usable = [column.name for column in table.columns if not column.generated and column.name not in unfit]
    for way in conflicts(table):
        named = [name for name in way.columns if name in usable]
        if named:
            return tuple(dict.fromkeys((named[0], named[-1])))
    return tuple(usable[:1])


def _tags(table: Table) -> list[tuple[str, str]]:
    """(column of the pending table, new row's column)."""
    return [(f'"tag{place + 1}"', quote(name)) for place, name in enumerate(_tag_columns(table))]


def _remember(table: Table, table_id: int, way: Conflict, not_own: str, touched: str) -> str:
    """Copy the rows that are in the new row's way under another key, unless they are remembered already.

    A NULL tag is kept as x'', which every statement looks at: OR REPLACE may turn a NULL into a default.
    """
    tags = [(tag, f"coalesce(NEW.{column}, x'')") for tag, column in _tags(table)]
    places = ", ".join(
        ['"tbl"', *(tag for tag, _ in tags), *(f'"c{place + 1}"' for place in range(len(table.columns)))]
    )
    values = ", ".join([str(table_id), *(value for _, value in tags), *former_image(table, "r")])
    same = [f'q."tbl" = {table_id}', *(f"q.{tag} = {value}" for tag, value in tags)]
    known = " AND ".join([*same, same_key(table, "r", logged_key_terms(table, "q"))])
    terms = [touched, way.condition, not_own, f"NOT EXISTS (SELECT 1 FROM {PENDING} AS q WHERE {known})"]
    where = " AND ".join(term for term in terms if term)
    return f"INSERT INTO {PENDING} ({places}) SELECT {values} FROM {quote(table.name)} AS r WHERE {where}"


def _not_own_insert(table: Table) -> str:
    """Not the row that has the new one's key.  NEW holds -1 before a rowid is given out."""
    terms = key_terms(table, "NEW")
    other = f"NOT ({same_key(table, 'r', terms)})"
    return f"({other} OR {terms[0]} = -1)" if is_rowid_key(table) else other


def _not_own_update(table: Table) -> str:
    old, new = (same_key(table, "r", key_terms(table, scope)) for scope in ("OLD", "NEW"))
    return f"NOT ({old}) AND NOT ({new})"


def _settle(table: Table, table_id: int, scopes: tuple[str, ...]) -> list[str]:
    """Log a delete for each remembered row that is gone, and forget it."""
    if not conflicts(table):
        return []
    tagged = [f"{tag} IN (x'', {', '.join(f'+{scope}.{column}' for scope in scopes)})" for tag, column in _tags(table)]
    image = ", ".join(f'p."c{place + 1}"' for place in range(len(table.columns)))
    mine = " AND ".join([f'p."tbl" = {table_id}', *(f"p.{term}" for term in tagged)])
    own = " AND ".join([f'"tbl" = {table_id}', *tagged])
    found = f"FROM {PENDING} AS p WHERE {mine} AND {_gone(table, logged_key_terms(table, 'p'))}"
    return [
        f"{_into_log(table)} SELECT {table_id}, 'd', {_NOW_MS}, {image} {found}",
        f"DELETE FROM {PENDING} WHERE {own} AND {_gone(table, logged_key_terms(table, PENDING))}",
    ]
