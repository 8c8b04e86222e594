"""SQL terms that the triggers are made of: row images, keys, and the new row's conflicts.  Pure.

``scope`` is what a column is taken from: ``NEW``, ``OLD``, or the alias of a table in FROM.  Columns
are always qualified, since SQLite takes an unknown "name" without a table for a text.
"""

# ruff: noqa: S608  (statements are put together from quoted identifiers and from the source's own DDL)

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from shared.sqlite import ddl
from shared.sqlite.connection import quote
from shared.tables import ROWID, Column, Index, IndexPart, Table

_LITERAL_WORDS = {"NULL", "TRUE", "FALSE", "CURRENT_TIME", "CURRENT_DATE", "CURRENT_TIMESTAMP"}


def column_term(table: Table, name: str, scope: str) -> str:
    """A column, or the hidden rowid, of ``scope``."""
    return f"{scope}.{quote(table.rowid_name if name == ROWID else name)}"


def current_image(table: Table, scope: str) -> list[str]:
    """The whole row."""
    return [column_term(table, name, scope) for name in table.names]


def former_image(table: Table, scope: str) -> list[str]:
    """The whole row, where computing a value may fail: a virtual column that no index holds is left NULL.

    A row older than such a column may have no value for it (malformed JSON), and its DELETE must work.
    """
    held = _indexed_columns(table)
    return [
        "NULL" if column.generated == "virtual" and column.name not in held else column_term(table, column.name, scope)
        for column in table.columns
    ]


def _indexed_columns(table: Table) -> set[str | None]:
    return {part.column for index in table.indexes if not index.where for part in index.parts}


def is_rowid_key(table: Table) -> bool:
    """Whether the key is the rowid, by whatever name."""
    return table.key_kind == "rowid" or table.identity is not None


def key_collations(table: Table) -> dict[str, str]:
    """For each key column the collation of the index that enforces the key."""
    for index in table.indexes:
        parts = {part.column: part.collation for part in index.parts if part.column}
        if index.unique and not index.where and parts.keys() == set(table.key):
            return parts
    return dict.fromkeys(table.key, "BINARY")


def same_row(table: Table, scope: str, alias: str = "r") -> str:
    """``alias`` is the row of ``scope`` where that is NEW or OLD: by rowid where there is one, else by its key."""
    if table.identity is not None:
        return f"{alias}.{quote(table.identity)} = {scope}.{quote(table.identity)}"
    if table.rowid_name:
        return f"{alias}.{quote(table.rowid_name)} = {scope}.{quote(table.rowid_name)}"
    terms = (
        f"{alias}.{quote(name)} IS {scope}.{quote(name)} COLLATE {quote(collation)}"
        for name, collation in key_collations(table).items()
    )
    return " AND ".join(terms)


def same_key(table: Table, left: str, right: list[str]) -> str:
    """``left`` has exactly that key: bit for bit and class for class, though its index may be laxer (NOCASE, 1 = 1.0).

    ``right`` are the terms of the key's columns.  An index on the key can serve it.
    """
    if is_rowid_key(table):
        return f"{column_term(table, table.key[0], left)} = {right[0]}"
    collations = key_collations(table)
    found = []
    for name, term in zip(table.key, right, strict=True):
        mine = f"{left}.{quote(name)}"
        found.append(f"{mine} IS {term} COLLATE {quote(collations[name])}")
        if collations[name] != "BINARY":
            found.append(f'{mine} IS {term} COLLATE "BINARY"')
        if _column(table, name).affinity != "TEXT":
            found.append(f"typeof({mine}) = typeof({term})")
    return " AND ".join(found)


def lax_key(table: Table, left: str, right: list[str]) -> str:
    """``left`` has what the key's own index takes for that key, be it spelled otherwise."""
    collations = key_collations(table)
    terms = zip(table.key, right, strict=True)
    return " AND ".join(f"{left}.{quote(name)} IS {term} COLLATE {quote(collations[name])}" for name, term in terms)


def key_terms(table: Table, scope: str) -> list[str]:
    """The key's columns of NEW, OLD or an alias of the table."""
    return [column_term(table, name, scope) for name in table.key]


def logged_key_terms(table: Table, scope: str) -> list[str]:
    """The key's columns of a row image in one of our own tables."""
    return [f'{scope}."c{place + 1}"' for place in table.key_places]


def key_changed(table: Table) -> str:
    """An UPDATE gave the row another key, bit for bit and class for class."""
    found = []
    for name, old, new in zip(table.key, key_terms(table, "OLD"), key_terms(table, "NEW"), strict=True):
        found.append(f'{old} IS NOT {new} COLLATE "BINARY"')
        if not is_rowid_key(table) and _column(table, name).affinity != "TEXT":
            found.append(f"typeof({old}) <> typeof({new})")
    return f"({' OR '.join(found)})"


@dataclass(frozen=True, slots=True)
class Conflict:
    """One way in which REPLACE may remove a row under another key than the new row's.

    ``condition`` holds for a row ``r`` that is in the way of NEW; ``touched`` is false only if an
    UPDATE leaves the matter as it was (empty: cannot be told cheaply).
    """

    condition: str
    touched: str = ""
    columns: tuple[str, ...] = ()


def conflicts(table: Table) -> list[Conflict]:
    """All of them: unique indexes that do not imply the key, and the rowid where it is not the key."""
    found = [
        conflict
        for index in table.indexes
        if index.unique and not _implies_key(table, index)
        for conflict in _index_conflicts(table, index)
    ]
    if table.rowid_name and not is_rowid_key(table):
        rowid = quote(table.rowid_name)
        found.append(Conflict(f"r.{rowid} = NEW.{rowid}", f"NEW.{rowid} IS NOT OLD.{rowid}"))
    return found


def _implies_key(table: Table, index: Index) -> bool:
    """Whether two rows that are equal in this index have exactly the same key."""
    exact = {part.column for part in index.parts if part.column and _is_exact(table, part)}
    return exact.issuperset(table.key)


def _is_exact(table: Table, part: IndexPart) -> bool:
    """Equal in the index means equal in bytes and class: not for NOCASE and the like, not where 1 and 1.0 both fit."""
    column = _column(table, part.column or "")
    if part.column == table.identity:
        return True
    return part.collation == "BINARY" and (column.affinity != "BLOB" or (table.strict and column.declared != "ANY"))


def _column(table: Table, name: str) -> Column:
    return next(column for column in table.columns if column.name == name)


def _index_conflicts(table: Table, index: Index) -> Iterator[Conflict]:
    plain = tuple(part.column for part in index.parts if part.column)
    where = ddl.unambiguous(index.where, table.name, table.names)
    simple = not where and len(plain) == len(index.parts)
    yield Conflict(
        condition=" AND ".join([*_where_terms(table, where), *_part_terms(table, index, where)]),
        touched=_touched(index) if simple else "",
        columns=plain,
    )
    filled = [name for name in _columns_read(table, index, where) if _default(table, name)]
    if filled:  # after BEFORE triggers OR REPLACE puts the default in the place of a NULL
        missing = " OR ".join(f"NEW.{quote(name)} IS NULL" for name in filled)
        terms = [f"({missing})", *([f"({where})"] if where else []), *_part_terms(table, index, "", filled)]
        yield Conflict(" AND ".join(terms), columns=plain)


def _touched(index: Index) -> str:
    changed = (
        f"NEW.{quote(part.column or '')} IS NOT OLD.{quote(part.column or '')} COLLATE {quote(part.collation)}"
        for part in index.parts
    )
    return f"({' OR '.join(changed)})"


def _columns_read(table: Table, index: Index, where: str) -> list[str]:
    texts = [where, *(quote(part.column) if part.column else part.expression for part in index.parts)]
    return [name for name in table.names if any(ddl.mentioned(text, [name]) for text in texts)]


def _where_terms(table: Table, where: str) -> list[str]:
    """A partial index's WHERE for the new row (unless it reads the rowid, not given out yet) and for ``r``."""
    if not where:
        return []
    mine = [] if _reads_rowid(table, where) else [_for_new_row(table, where)]
    return [*mine, f"({where})"]


def _part_terms(table: Table, index: Index, where: str, filled: Sequence[str] = ()) -> Iterator[str]:
    """Each part of the index is the same in ``r`` and in NEW, with defaults for the columns ``filled``."""
    for part in index.parts:
        collation = quote(part.collation)
        if part.column:
            yield f"r.{quote(part.column)} = {_new_value(table, part.column, filled)} COLLATE {collation}"
            continue
        expression = value = ddl.unambiguous(part.expression, table.name, table.names)
        if where and not _reads_rowid(table, where):  # it may fail (malformed JSON) for a row that is not indexed
            value = f"CASE WHEN {where} THEN {expression} END"
        yield f"({expression}) COLLATE {collation} = {_for_new_row(table, value, filled)}"


def _reads_rowid(table: Table, sql: str) -> bool:
    taken = {ddl.fold(name) for name in table.names}
    return bool(ddl.mentioned(sql, [word for word in ("rowid", "_rowid_", "oid") if word not in taken]))


def _for_new_row(table: Table, expression: str, filled: Sequence[str] = ()) -> str:
    """The expression's value for NEW: its column names are given the new row's values."""
    names = ddl.mentioned(expression, table.names)
    values = ", ".join(f"{_new_value(table, name, filled)} AS {quote(name)}" for name in names)
    return f"(SELECT {expression} FROM (SELECT {values}))" if names else f"(SELECT {expression})"


def _new_value(table: Table, name: str, filled: Sequence[str]) -> str:
    new = f"NEW.{quote(name)}"
    return f"coalesce({new}, ({_default(table, name)}))" if name in filled else new


def _default(table: Table, name: str) -> str:
    """What takes the place of a NULL under OR REPLACE, or nothing."""
    column = _column(table, name)
    if not column.not_null or column.default is None or name == table.identity:
        return ""
    default = ddl.unambiguous(column.default, table.name, ())
    if ddl.is_single_word(default) and default.upper() not in _LITERAL_WORDS:
        return f"'{default}'"  # DEFAULT word: SQLite takes it for a text
    return default
