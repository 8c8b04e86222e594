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
statement may still be about to remove it; capture settles and clears them between transactions.  The tags,
values of the row written, keep them out of other statements' way.

What this cannot see: an application's BEFORE trigger that itself brings a row into the way of the new one
(see ``survey``), and what follows a RAISE(IGNORE) in an application's AFTER trigger created later
than ours (see ``installation``).
"""

# ruff: noqa: S608  (statements are put together from quoted identifiers and from the source's own DDL)

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from shared.sqlite.connection import quote
from shared.sqlite.terms import (
    Conflict,
    conflicts,
    current_image,
    former_image,
    is_rowid_key,
    key_changed,
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
        f"_switchback_{table_id}_{event}"
        for event in ("after_insert", "after_update", "after_delete", "before_insert", "before_update")
    ]


def trigger_sql(table: Table, table_id: int, *, cascades: bool) -> list[str]:
    """The CREATE TRIGGER statements of a table, exactly as SQLite will keep them.

    ``cascades`` says that removing a row of it may set off something that removes more rows of it.
    """
    inserts = [_InTheWay(table, table_id, "NEW", way.condition, _not_own_insert(table)) for way in conflicts(table)]
    updates = [
        _InTheWay(table, -table_id, "OLD", _if_touched(way), _not_own_update(table, cascades=cascades))
        for way in _update_conflicts(table, cascades=cascades)
    ]
    found = [
        _trigger(table, table_id, "AFTER INSERT", _after_insert(table, table_id)),
        _trigger(table, table_id, "AFTER UPDATE", _after_update(table, table_id, cascades=cascades)),
        _trigger(table, table_id, "AFTER DELETE", _after_delete(table, table_id, settle=bool(updates))),
    ]
    if inserts:
        found.append(_before(table, table_id, "BEFORE INSERT", inserts))
    if updates:
        found.append(_before(table, table_id, "BEFORE UPDATE", updates))
    return found


def _update_conflicts(table: Table, *, cascades: bool) -> list[Conflict]:
    """With cascades also the row that has the new key: the updated row may go with it, and then nothing is logged."""
    ways = conflicts(table)
    if cascades:
        ways.append(Conflict(same_key(table, "r", key_terms(table, "NEW")), key_changed(table)))
    return ways


def settle_sql(table: Table, table_id: int) -> list[str]:
    """Statements that settle all remembered rows of a table, for when no statement of the application's is running."""
    return _settle(table, table_id, [f'"tbl" IN ({table_id}, {-table_id})'])


def _trigger(table: Table, table_id: int, event: str, body: Sequence[str], when: str = "") -> str:
    name = f'"_switchback_{table_id}_{event.lower().replace(" ", "_")}"'
    steps = "".join(f"  {step};\n" for step in body)
    return f"CREATE TRIGGER {name} {event} ON {quote(table.name)} FOR EACH ROW {when}BEGIN\n{steps}END"


def _before(table: Table, table_id: int, event: str, ways: Sequence[_InTheWay]) -> str:
    """In the usual case, nothing in the way, this costs a look into each index and no more."""
    when = " OR ".join(way.exists for way in ways)
    return _trigger(table, table_id, event, [way.remember for way in ways], f"WHEN {when} ")


def _after_insert(table: Table, table_id: int) -> list[str]:
    terms = [f'"tbl" = {table_id}', *_tag_terms(table, "NEW")]
    return [*(_settle(table, table_id, terms) if conflicts(table) else []), _log_current(table, table_id, "'c'")]


def _after_update(table: Table, table_id: int, *, cascades: bool) -> list[str]:
    changed = key_changed(table)
    touched = [way.touched for way in _update_conflicts(table, cascades=cascades)]
    guard = [f"({' OR '.join(touched)})"] if all(touched) else []
    terms = [*guard, f'"tbl" = {-table_id}', *_tag_terms(table, "OLD")]
    return [
        *(_settle(table, table_id, terms) if touched else []),
        _log_absent(table, table_id, "k", "OLD", changed),
        _log_current(table, table_id, f"CASE WHEN {changed} THEN 'c' ELSE 'u' END"),
    ]


def _after_delete(table: Table, table_id: int, *, settle: bool) -> list[str]:
    """An UPDATE OR REPLACE whose own row is deleted by the cascade it set off has no AFTER UPDATE: settle for it."""
    settled = _settle(table, table_id, [f'"tbl" = {-table_id}']) if settle else []
    return [*settled, _log_absent(table, table_id, "d", "OLD")]


def _places(table: Table) -> list[str]:
    return [f'"c{place}"' for place in range(1, len(table.columns) + 1)]


def _into_log(table: Table) -> str:
    return f'INSERT INTO {LOG} ("tbl", "op", "ms", {", ".join(_places(table))})'


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
    """Up to two columns whose values tell statements apart: the ends of the first unique index that has columns.

    Their values must be the same before and after the row is stored: a rowid is given out in between,
    and OR REPLACE puts a default in the place of a NULL.
    """
    unfit = (ROWID, table.identity)
    usable = [
        column.name
        for column in table.columns
        if not column.generated and column.name not in unfit and not (column.not_null and column.default)
    ]
    for way in conflicts(table):
        named = [name for name in way.columns if name in usable]
        if named:
            return tuple(dict.fromkeys((named[0], named[-1])))
    return tuple(usable[:1])


def _tags(table: Table, scope: str) -> list[tuple[str, str]]:
    """(column of the pending table, the value of NEW for an INSERT and of OLD for an UPDATE)."""
    columns = enumerate(_tag_columns(table), start=1)
    return [(f'"tag{place}"', f"coalesce({scope}.{quote(name)}, x'')") for place, name in columns]


def _if_touched(way: Conflict) -> str:
    return f"{way.touched} AND {way.condition}" if way.touched else way.condition


class _InTheWay(NamedTuple):
    """The rows that a statement may remove under another key than the new row's.

    ``mark`` is the table's number, negative for an UPDATE; ``scope`` has the values for the tags.
    """

    table: Table
    mark: int
    scope: str
    condition: str
    not_own: str

    @property
    def _found(self) -> str:
        return f"FROM {quote(self.table.name)} AS r WHERE {self.condition} AND {self.not_own}"

    @property
    def exists(self) -> str:
        """Whether there is one."""
        return f"EXISTS (SELECT 1 {self._found})"

    @property
    def remember(self) -> str:
        """Copy them to the pending table, unless they are there already."""
        tags = _tags(self.table, self.scope)
        places = ['"tbl"', *(tag for tag, _ in tags), *_places(self.table)]
        values = [str(self.mark), *(value for _, value in tags), *former_image(self.table, "r")]
        same = [f'q."tbl" = {self.mark}', *(f"q.{tag} = {value}" for tag, value in tags)]
        known = " AND ".join([*same, same_key(self.table, "r", logged_key_terms(self.table, "q"))])
        fresh = f"NOT EXISTS (SELECT 1 FROM {PENDING} AS q WHERE {known})"
        return f"INSERT INTO {PENDING} ({', '.join(places)}) SELECT {', '.join(values)} {self._found} AND {fresh}"


def _not_own_insert(table: Table) -> str:
    """Not the row that has the new one's key.  NEW holds -1 before a rowid is given out."""
    terms = key_terms(table, "NEW")
    other = f"NOT ({same_key(table, 'r', terms)})"
    return f"({other} OR {terms[0]} = -1)" if is_rowid_key(table) else other


def _not_own_update(table: Table, *, cascades: bool) -> str:
    """Not the updated row, nor (unless that may vanish before it is logged) the one that its entry will answer for."""
    old, new = (same_key(table, "r", key_terms(table, scope)) for scope in ("OLD", "NEW"))
    return f"NOT ({old})" if cascades else f"NOT ({old}) AND NOT ({new})"


def _tag_terms(table: Table, scope: str) -> list[str]:
    return [f"{tag} = {value}" for tag, value in _tags(table, scope)]


def _settle(table: Table, table_id: int, terms: Sequence[str]) -> list[str]:
    """Log a delete for each remembered row that fits the terms and is gone, and forget it."""
    image = ", ".join(_places(table))
    gone = " AND ".join([*terms, _gone(table, logged_key_terms(table, PENDING))])
    return [
        f"{_into_log(table)} SELECT {table_id}, 'd', {_NOW_MS}, {image} FROM {PENDING} WHERE {gone}",
        f"DELETE FROM {PENDING} WHERE {gone}",
    ]
